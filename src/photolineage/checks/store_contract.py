"""The contract of embedding files, of the vector index and of the loaded models."""

from collections.abc import Mapping

import pyarrow as pa

from photolineage.contract.drift import Drift, DriftKind, Fix, Severity
from photolineage.models.embedder import ModelFacts


def compare_arrow(expected: pa.Schema, actual: pa.Schema, store: str, remedy: str) -> list[Drift]:
    """The differences between an Arrow schema and the expected one, in the order of the columns.

    `store`: the file or index with this schema. `remedy`: how to fix a difference. The kind of a drift is `dims` for
    the length of a vector, `type` for another type, and `table_option` for metadata.
    """
    drifts = []
    for name in dict.fromkeys([*expected.names, *actual.names]):
        wanted = expected.field(name) if name in expected.names else None
        found = actual.field(name) if name in actual.names else None
        kind = _kind(wanted, found)
        if kind is not None:
            drifts.append(_drift(kind, store, name, _described(wanted), _described(found), remedy))
    for name, value in _texts(expected.metadata).items():
        found_value = _texts(actual.metadata).get(name)
        if found_value != value:
            drifts.append(_drift(DriftKind.TABLE_OPTION, store, name, value, found_value, remedy))
    return drifts


def compare_model(recorded: ModelFacts, loaded: ModelFacts, model_key: str) -> list[Drift]:
    """The differences between a loaded model and the one that its embeddings were computed with."""
    remedy = (
        "Restore the former weights or precision, or configure the new ones under a new key beside "
        f"models.{model_key}: embeddings of different weights cannot be compared."
    )
    return [
        _drift(
            DriftKind.DIMS if name == "embedding_dim" else DriftKind.TABLE_OPTION,
            f"model {model_key}",
            name,
            str(getattr(recorded, name)),
            str(getattr(loaded, name)),
            remedy,
        )
        for name in ("embedding_dim", "image_size", "weights_digest", "precision")
        if getattr(recorded, name) != getattr(loaded, name)
    ]


def _kind(wanted: pa.Field | None, found: pa.Field | None) -> DriftKind | None:
    if found is None:
        return DriftKind.MISSING_COLUMN
    if wanted is None:
        return DriftKind.EXTRA_COLUMN
    if wanted.type != found.type:
        both_vectors = all(pa.types.is_fixed_size_list(field.type) for field in (wanted, found))
        same_element = both_vectors and wanted.type.value_type == found.type.value_type
        return DriftKind.DIMS if same_element and _length(wanted) != _length(found) else DriftKind.TYPE
    return DriftKind.NULLABLE if wanted.nullable != found.nullable else None


def _length(field: pa.Field) -> int:
    length: int = field.type.list_size
    return length


def _described(field: pa.Field | None) -> str | None:
    if field is None:
        return None
    return f"{field.type}" + ("" if field.nullable else " not null")


def _texts(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    ours = (metadata or {}).items()
    return {key.decode(): value.decode() for key, value in ours if key.startswith(b"photolineage.")}


def _drift(
    kind: DriftKind, store: str, name: str, expected: str | None, actual: str | None, remedy: str
) -> Drift:
    return Drift(kind, store, name, (name,), expected, actual, Severity.ERROR, Fix(note=remedy))
