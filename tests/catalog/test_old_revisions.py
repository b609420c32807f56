"""A catalog of any earlier revision comes to the newest one with its rows, by a script that can be read first."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Table, delete, insert, select, text

from photolineage.catalog import migrate
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.migrate import (
    MIGRATIONS,
    UnmigratedCatalogError,
    require_current,
    upgrade,
    upgrade_sql,
)
from photolineage.catalog.orm import Base
from photolineage.contract.comparison import compare

Rows = dict[str, list[dict[str, Any]]]

NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)

# In the order in which rows may refer to each other; values as the column types of revision 0001 take them.
LIBRARY: Rows = {
    "source": [{"id": 1, "key": "photos", "root": b"/photos", "created_at": NOW}],
    "shard": [
        {
            "id": 1,
            "source_id": 1,
            "number": 0,
            "key": "photos-00000",
            "capacity": 9,
            "image_count": 2,
            "revision": 3,
        }
    ],
    "image": [
        {
            "id": number,
            "source_id": 1,
            "shard_id": 1,
            "path": b"2023/\xff%d.jpg" % number,
            "size_bytes": 5_000_000_000,
            "mtime_ns": 1_700_000_000_123_456_789,
            "state": "registered",
            "discovered_at": NOW,
            "content_hash": "ab" * 32,
            "truncated": False,
            "taken_at_source": "exif",
            "duplicate_of_id": 1 if number > 1 else None,
        }
        for number in (1, 2)
    ],
    "ml_model": [
        {
            "id": 1,
            "key": "clip",
            "architecture": "ViT-B-32",
            "embedding_dim": 512,
            "image_size": 224,
            "weights_digest": "cd" * 32,
            "first_loaded_at": NOW,
            "serving": True,
        }
    ],
    "ml_job": [
        {
            "id": 7,
            "kind": "embed",
            "subject": "clip|photos-00000",
            "run_id": "a-run",
            "host": "desk",
            "pid": 1,
            "process_started_at": 1.5,
            "state": "succeeded",
            "input_version": "3",
            "total": 2,
            "done": 2,
            "resumed": 0,
            "failed": 0,
            "started_at": NOW,
            "heartbeat_at": NOW,
            "finished_at": NOW,
        }
    ],
    "shard_file": [
        {
            "id": 1,
            "kind": "embedding",
            "shard_id": 1,
            "model_id": 1,
            "job_id": 7,
            "path": "embeddings/clip/1.parquet",
            "row_count": 1,
            "size_bytes": 9,
            "committed_at": NOW,
        }
    ],
    "event": [
        {
            "id": 4,
            "model_id": 1,
            "title": "Beach · 22 Oct 2008",
            "starts_at": NOW,
            "ends_at": NOW,
            "image_count": 2,
            "cover_image_id": 1,
            "confidence": 0.5,
            "updated_at": NOW,
        }
    ],
    "event_image": [{"model_id": 1, "image_id": number, "event_id": 4} for number in (1, 2)],
}


def alembic(folder: Path = MIGRATIONS) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config


EARLIER = [
    revision.revision
    for revision in ScriptDirectory.from_config(alembic()).walk_revisions()
    if not revision.is_head
]


def bring_to(engine: Engine, revision: str) -> None:
    config = alembic()
    with write_transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def fill(engine: Engine) -> None:
    with write_transaction(engine) as connection:
        tables = MetaData()
        tables.reflect(connection)
        for name, rows in LIBRARY.items():
            table = tables.tables[name]
            since = {"embedded_bit": 2} if "embedded_bit" in table.c else {}
            connection.execute(insert(table), [_adapted(engine, row | since) for row in rows])


def _adapted(engine: Engine, row: dict[str, Any]) -> dict[str, Any]:
    """SQLite's reflected DATETIME takes no zone."""
    if engine.dialect.name == "postgresql":
        return row
    return {k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()}


def stored(engine: Engine) -> Rows:
    """Every row, in the columns that `LIBRARY` names."""
    with engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            name: [
                dict(row)
                for row in connection.execute(
                    select(*(tables.tables[name].c[column] for column in rows[0])).order_by(text("1, 2"))
                ).mappings()
            ]
            for name, rows in LIBRARY.items()
        }


@pytest.mark.parametrize("revision", EARLIER)
def test_a_catalog_of_an_earlier_revision_keeps_its_rows(empty_engine: Engine, revision: str) -> None:
    bring_to(empty_engine, revision)
    fill(empty_engine)
    before = stored(empty_engine)
    assert {name: len(rows) for name, rows in before.items()} == {n: len(r) for n, r in LIBRARY.items()}
    assert upgrade(empty_engine).found == revision
    assert stored(empty_engine) == before
    with empty_engine.connect() as connection:
        assert compare(Base.metadata, connection) == []


@pytest.mark.parametrize("remaining", [0, 1])
@pytest.mark.parametrize("revision", EARLIER)
def test_the_id_of_a_retired_model_is_not_given_again(
    empty_engine: Engine, revision: str, remaining: int
) -> None:
    """Whatever still names the retired model by its id must not mean the next one."""
    bring_to(empty_engine, revision)
    (first,) = LIBRARY["ml_model"]
    model = {name: value for name, value in first.items() if name != "id"} | {"serving": False}
    rows = [{**model, "key": f"model-{number}"} for number in range(3)]
    with write_transaction(empty_engine) as connection:
        models = Table("ml_model", MetaData(), autoload_with=connection)
        if "embedded_bit" in models.c:
            rows = [row | {"embedded_bit": 1 << number} for number, row in enumerate(rows)]
        connection.execute(insert(models), [_adapted(empty_engine, row) for row in rows])
        connection.execute(delete(models).where(models.c.id > remaining))
    upgrade(empty_engine)
    with write_transaction(empty_engine) as connection:
        models = Table("ml_model", MetaData(), autoload_with=connection)
        following = {**model, "key": "the next", "embedded_bit": 2**40}
        connection.execute(insert(models), _adapted(empty_engine, following))
        found = connection.execute(select(models.c.id).where(models.c.key == "the next")).scalar_one()
    assert found == 4


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Adds a migration with these statements after the newest one."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    head = migrate.head_revision()

    def add(body: str) -> None:
        lines = "\n    ".join(body.splitlines())
        (folder / "versions" / "next.py").write_text(
            f'"""the next one"""\nimport sqlalchemy as sa\nfrom alembic import op\nrevision = "next"\n'
            f'down_revision = "{head}"\ndef upgrade():\n    {lines}\n'
        )
        monkeypatch.setattr(migrate, "MIGRATIONS", folder)

    return add


REBUILD_EVENT = """with op.batch_alter_table("event", recreate="auto") as event:
    event.alter_column("title", nullable=True, existing_type=sa.Text())
"""


def test_a_table_that_is_rebuilt_keeps_the_rows_that_refer_to_it(
    catalog_engine: Engine, add_revision: Callable[[str], None]
) -> None:
    """SQLite drops the old table on the way, which would delete its events' images by their foreign key."""
    fill(catalog_engine)
    before = stored(catalog_engine)
    add_revision(REBUILD_EVENT)
    upgrade(catalog_engine)
    assert stored(catalog_engine) == before
    if catalog_engine.dialect.name == "sqlite":
        with catalog_engine.connect() as connection:
            assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_the_sql_of_a_rebuilt_table_is_shown_and_nothing_is_changed(
    catalog_engine: Engine, add_revision: Callable[[str], None]
) -> None:
    fill(catalog_engine)
    before = stored(catalog_engine)
    require_current(catalog_engine)
    head = migrate.head_revision()
    add_revision(REBUILD_EVENT)
    script = upgrade_sql(catalog_engine, head)
    assert ("DROP TABLE event" if catalog_engine.dialect.name == "sqlite" else "DROP NOT NULL") in script
    assert stored(catalog_engine) == before
    with catalog_engine.connect() as connection:
        assert migrate.catalog_revision(connection).found == head


def test_a_migration_that_leaves_rows_without_their_parent_changes_nothing(
    catalog_engine: Engine, add_revision: Callable[[str], None]
) -> None:
    fill(catalog_engine)
    before = stored(catalog_engine)
    add_revision('op.execute("DELETE FROM event")\nop.execute("DELETE FROM source")')
    refused = UnmigratedCatalogError if catalog_engine.dialect.name == "sqlite" else Exception
    with pytest.raises(refused, match=r"in event_image|violates foreign key"):
        upgrade(catalog_engine)
    assert stored(catalog_engine) == before
