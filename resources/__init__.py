"""The Dagster resources: the catalog, the stores, the progress in a run's log, and how failures are reported."""
