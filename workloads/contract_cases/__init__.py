"""Databases that differ from their metadata in a known way, and databases that only seem to differ."""
