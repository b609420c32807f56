"""Tests of the benchmarks: their metrics, and the libraries that they generate."""
