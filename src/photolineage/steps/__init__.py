"""The steps of the lineage in plain Python, one module per step."""
