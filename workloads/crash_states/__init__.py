"""Lets every operation on a library's files fail, or be the last before the power goes, and looks at what is left."""
