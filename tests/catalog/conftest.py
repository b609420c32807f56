"""Rows that a catalog test needs before it begins."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image, Shard, Source
from photolineage.catalog.vocabulary import ImageState

NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


@pytest.fixture
def shard_id(catalog_engine: Engine) -> int:
    """The one shard of the one source, of revision 1."""
    with write_transaction(catalog_engine) as connection:
        source_id = connection.execute(
            insert(Source).values(key="photos", root="/photos", created_at=NOW).returning(Source.id)
        ).scalar_one()
        shard_id: int = connection.execute(
            insert(Shard)
            .values(source_id=source_id, number=0, key="photos-00000", capacity=99, image_count=0, revision=1)
            .returning(Shard.id)
        ).scalar_one()
    return shard_id


@pytest.fixture
def add_image(catalog_engine: Engine, shard_id: int) -> Callable[..., int]:
    """Adds an image with a path and other columns, and returns its id."""

    def add(path: str, **columns: Any) -> int:
        values = {
            "source_id": 1,
            "shard_id": shard_id,
            "path": path,
            "size_bytes": 1,
            "mtime_ns": 1,
            "state": ImageState.DISCOVERED,
            "discovered_at": NOW,
        }
        with write_transaction(catalog_engine) as connection:
            image_id: int = connection.execute(
                insert(Image).values(values | columns).returning(Image.id)
            ).scalar_one()
        return image_id

    return add
