"""The difference between the rows in a table and the rows that must be in it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photolineage.stores.vector_index.rows import live_schema

_BY_IMAGE = """
    select
        coalesce(live.image_id, indexed.image_id) as image_id,
        case
            when indexed.image_id is null then 'added'
            when live.image_id is null then 'removed'
            when live.embedding_file != indexed.embedding_file then 'replaced'
            else 'updated'
        end as change
    from live full join indexed using (image_id)
    where {differing}
"""


@dataclass(frozen=True, slots=True)
class TableDifference:
    """Image ids (int64, ascending), by the change that their rows need.

    `updated` rows change their facts and keep their embedding. `replaced` rows change their embedding too.
    """

    added: NDArray[np.int64]
    replaced: NDArray[np.int64]
    updated: NDArray[np.int64]
    removed: NDArray[np.int64]


def table_difference(live: pa.Table, indexed: pa.Table) -> TableDifference:
    """The changes that make `indexed` equal to `live`. Both have the columns of `live_schema`.

    Raises ValueError if `live` has two rows for one image, or another schema.
    """
    import duckdb

    _require_live_rows(live)
    differing = " or ".join(f"live.{name} is distinct from indexed.{name}" for name in live_schema().names)
    with duckdb.connect() as connection:
        connection.register("live", live)
        connection.register("indexed", indexed)
        changes = connection.execute(_BY_IMAGE.format(differing=differing)).fetchnumpy()
    image_ids, kinds = np.asarray(changes["image_id"], dtype=np.int64), np.asarray(changes["change"])
    return TableDifference(
        **{kind: np.sort(image_ids[kinds == kind]) for kind in ("added", "replaced", "updated", "removed")}
    )


def _require_live_rows(live: pa.Table) -> None:
    if not live.schema.equals(live_schema()):
        raise ValueError(f"the current rows have the schema\n{live.schema}\nexpected\n{live_schema()}")
    image_ids = np.sort(live["image_id"].to_numpy())
    twice = image_ids[1:][image_ids[1:] == image_ids[:-1]]
    if twice.size:
        raise ValueError(f"{twice.size} images have more than one current row, for example image {twice[0]}")
