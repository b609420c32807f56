"""The checks of a library: the catalog matches the code, and every store matches the catalog."""
