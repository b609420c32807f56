"""What is built: one module for each asset of the lineage, named after it."""
