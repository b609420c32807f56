"""Explains one photo: where it stands in the lineage, and why a search finds it or not."""
