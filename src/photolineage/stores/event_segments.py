"""What event clustering keeps between two runs: one Parquet file a model.

The file is a cache. Each of its rows carries a fingerprint of all that it depends on, so that a stale file only means
more work; pages carry checksums, so that a damaged one is noticed.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from photolineage.stores.files import Files, LostFileError, StorageError

SEGMENTS = "events"


def segments_path(model_key: str) -> str:
    """The file of a model's segments."""
    return f"{SEGMENTS}/{model_key}.parquet"


class SegmentStore:
    """The segments of events, one file a model."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def write(self, model_key: str, segments: pa.Table) -> None:
        """Replace a model's segments. Raises StorageError where the disk is full or read-only."""
        self._files.write(
            segments_path(model_key),
            lambda partial: pq.write_table(segments, partial, write_page_checksum=True),
        )

    def read(self, model_key: str, schema: pa.Schema) -> pa.Table | None:
        """A model's segments, or None where none were kept.

        Raises StorageError for a file that is damaged, or that has other columns than `schema`.
        """
        try:
            path = self._files.local(segments_path(model_key))
            segments = pq.read_table(path, page_checksum_verification=True)
        except LostFileError:
            return None
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"{path}: cannot be read: {error}") from error
        if not segments.schema.equals(schema):
            raise StorageError(f"{path}: has the columns of another version: {segments.schema.names}")
        return segments
