"""A model upgrade: compare a candidate with the serving model, promote it, and retire the old model."""
