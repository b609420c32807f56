"""The vector indexes under the home directory."""

from pathlib import Path

from resources.vector_index import VectorIndex


class VectorIndexes:
    """One table a model under `home/index`."""

    def __init__(self, home: Path) -> None:
        self._directory = home / "index"

    def open(self, model_key: str, dim: int) -> VectorIndex:
        """The index of a model with embeddings of length `dim`; it may not be built yet."""
        return VectorIndex(self._directory, model_key, dim)
