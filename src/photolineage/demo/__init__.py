"""A library of drawn photos, and small CLIP models that know its scenes."""
