"""Shared by tests and benchmarks: generated libraries, planted drifts, workers to kill, a running UI."""

from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]
