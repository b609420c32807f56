"""One module per figure in docs/benchmarks.md."""
