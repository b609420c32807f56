"""Folders of photographs as searchable embeddings and event albums."""
