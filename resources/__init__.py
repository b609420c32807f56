"""What an asset is given: settings, the image store, the embedder, the stores of previews and embeddings,
the vector index and analytics."""
