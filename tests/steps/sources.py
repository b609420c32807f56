"""What tests of changed sources do to a library, and what they look at."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from photolineage.catalog.orm import Image, ShardFile
from photolineage.events.stored import members_of_events
from photolineage.settings import load_settings
from photolineage.steps.cluster import cluster_model
from photolineage.steps.forget_source import (
    ForgottenSource,
    SourceStores,
    bring_indexes_up_to_date,
    forget_source,
)
from photolineage.steps.freshness import find_stale_embeddings, find_stale_shards
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.rename_source import (
    rename_source,
)
from photolineage.stores.event_segments import SegmentStore
from tests.library import Library


def stores(library: Library) -> SourceStores:
    return SourceStores(library.embeddings, library.indexes)


def rename(library: Library, root: Path) -> Mapping[str, str]:
    """As the command renames `photos` to `holiday`."""
    renamed = rename_source(library.context(), stores(library), "photos", "holiday", root)
    bring_indexes_up_to_date(library.context(), stores(library))
    return renamed


def forget(library: Library, key: str = "photos") -> ForgottenSource:
    """As the command forgets a source."""
    plan = forget_source(library.context(), stores(library), key)
    bring_indexes_up_to_date(library.context(), stores(library))
    return plan


def configured_as(library: Library, **roots: Path) -> Library:
    """The library with these sources in its configuration; the first one is its source."""
    config = library.settings.config_file
    before, _, _ = config.read_text().partition("[sources.")
    _, _, models = config.read_text().partition("[models.")
    sections = "".join(f"[sources.{key}]\nroot = '{root}'\nremovable = true\n" for key, root in roots.items())
    config.write_text(f"{before}{sections}[models.{models}")
    return replace(library, settings=load_settings(config), source=next(iter(roots)))


def cluster(library: Library) -> None:
    embedder, _ = library.embedder()
    segments = SegmentStore(library.files)
    settings = library.settings.events
    cluster_model(library.context(), library.embeddings, segments, "tiny-a", embedder.encode_text, settings)


def events(library: Library) -> Any:
    with library.engine.connect() as connection:
        return members_of_events(connection, 1)


def count(library: Library, table: Any) -> int:
    with library.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def facts(library: Library) -> list[Any]:
    """What must stay of every image, in the order of the ids."""
    with library.engine.connect() as connection:
        return list(
            connection.execute(
                select(
                    Image.id, Image.path, Image.content_hash, Image.embedded_models, Image.duplicate_of_id
                ).order_by(Image.id)
            )
        )


def vectors(library: Library) -> dict[int, list[float]]:
    table = library.live().vectors()
    return dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))


def assert_nothing_is_due(library: Library) -> None:
    with library.engine.connect() as connection:
        lost = find_lost_files(connection, library.files, library.indexes, ["tiny-a"])
        assert (lost.previews, lost.embeddings, lost.indexes) == ({}, {}, {})
        assert find_stale_shards(connection, lost) == []
        assert find_stale_embeddings(connection, ["tiny-a"], lost) == []


def committed_paths(library: Library) -> list[str]:
    with library.engine.connect() as connection:
        return sorted(connection.execute(select(ShardFile.path)).scalars())


def stored_paths(library: Library) -> list[str]:
    return [file.path for folder in ("embeddings", "previews") for file in library.files.list_files(folder)]


DAYS_AGO = time.time() - 3 * 86_400


def let_files_be_old(library: Library) -> None:
    for path in stored_paths(library):
        os.utime(library.settings.home / path, (DAYS_AGO, DAYS_AGO))
