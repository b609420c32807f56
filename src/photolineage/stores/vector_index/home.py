"""The vector indexes under the home directory."""

from pathlib import Path

from photolineage.stores.vector_index import VectorIndex, table_name


class VectorIndexes:
    """One table per model under `home/index`."""

    def __init__(self, home: Path) -> None:
        self._directory = home / "index"

    def open(self, model_key: str, dim: int) -> VectorIndex:
        """The index of a model with embeddings of length `dim`. The index need not exist yet."""
        return VectorIndex(self._directory, model_key, dim)

    def is_there(self, model_key: str) -> bool:
        """Whether the disk has a table of this model with at least one version. The table is not opened."""
        return any((self._directory / f"{table_name(model_key)}.lance" / "_versions").glob("*.manifest"))

    def paths(self, model_key: str) -> list[Path]:
        """The paths of a model's index on the disk: its table and its lock."""
        name = table_name(model_key)
        return [
            path for suffix in ("lance", "lock") if (path := self._directory / f"{name}.{suffix}").exists()
        ]
