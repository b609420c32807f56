"""What turns an image or a text into an embedding, and the registry of the models that the catalog knows."""
