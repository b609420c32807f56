"""What the lineage computes, in plain Python: nothing here knows of Dagster."""
