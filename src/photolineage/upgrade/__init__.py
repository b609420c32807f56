"""A model upgrade: the candidate is compared with the serving model, promoted, and the old one retired."""
