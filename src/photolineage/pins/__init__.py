"""Pinned searches: searches that must keep finding a photo, and what each model makes of them."""
