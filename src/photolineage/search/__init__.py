"""Searching: the query, the filters, and the images that match."""
