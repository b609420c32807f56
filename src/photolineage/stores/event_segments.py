"""The segments that event clustering keeps between two runs: one Parquet file per model.

The file is a cache. Each row carries a fingerprint of its inputs, so a stale file only means more work. Pages carry
checksums, so damage is detected.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from photolineage.stores.files import Files, LostFileError
from photolineage.stores.root_folder import StorageError

SEGMENTS = "events"


def segments_path(model_key: str) -> str:
    """The path of a model's segments file."""
    return f"{SEGMENTS}/{model_key}.parquet"


class SegmentStore:
    """The segments of events, one file per model."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def write(self, model_key: str, segments: pa.Table) -> None:
        """Replace a model's segments. Raises StorageError if the disk is full or read-only."""
        self._files.write(
            segments_path(model_key),
            lambda partial: pq.write_table(segments, partial, write_page_checksum=True),
        )

    def read(self, model_key: str, schema: pa.Schema) -> pa.Table | None:
        """A model's segments, or None if it has no file yet.

        Raises StorageError if the file is damaged, or if its columns differ from `schema`.
        """
        try:
            path = self._files.local(segments_path(model_key))
            segments = pq.read_table(path, page_checksum_verification=True)
        except LostFileError:
            return None
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"{path}: cannot be read: {error}") from error
        if not segments.schema.equals(schema):
            raise StorageError(
                f"{path}: another version wrote this file, with the columns {segments.schema.names}"
            )
        return segments
