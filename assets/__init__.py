"""The assets of the lineage: one module for each, named after it."""
