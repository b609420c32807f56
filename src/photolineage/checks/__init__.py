"""What must hold in a library: the catalog matches the ORM, and every store matches the catalog."""
