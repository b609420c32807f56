"""A rendered photo library, and small CLIP models that know its scenes."""
