"""The stores for previews, embeddings and the vector index, all under the home directory."""
