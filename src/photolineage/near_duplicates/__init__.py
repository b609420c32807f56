"""Near-duplicates: one picture in several sizes or compressions, to review. Nothing is ever deleted."""
