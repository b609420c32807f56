"""What tests and benchmarks share: generated libraries, planted drifts, workers to kill, a running UI."""

from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]
