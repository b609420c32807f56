"""Databases that differ from their model in a known way, and databases that only look as if they did."""
