"""Where results are kept: previews, embeddings and the vector index, all under the home directory."""
