"""The models that turn an image or a text into an embedding, and the registry of models in the catalog."""
