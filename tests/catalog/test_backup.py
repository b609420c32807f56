"""The copy that is made of a catalog before it is migrated."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, insert

from photolineage.catalog.engine import create_catalog_engine, write_transaction
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.migration_plan import back_up
from photolineage.catalog.orm import Source
from tests.catalog.conftest import NOW


def test_a_sqlite_catalog_is_copied_with_what_is_still_in_its_log(tmp_path: Path) -> None:
    engine = create_catalog_engine(f"sqlite:///{tmp_path}/catalog.db")
    upgrade(engine)
    with write_transaction(engine) as connection:
        connection.execute(insert(Source).values(key="photos", root="/photos", created_at=NOW))
    assert (tmp_path / "catalog.db-wal").stat().st_size > 0
    copy = back_up(engine, tmp_path / "backups", "0001")
    assert copy is not None
    assert copy.parent == tmp_path / "backups"
    assert copy.name.startswith("catalog-2")
    assert copy.name.endswith("-0001.db")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT key FROM source").fetchall() == [("photos",)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_database_that_is_not_there_yet_is_not_copied(tmp_path: Path) -> None:
    engine = create_catalog_engine(f"sqlite:///{tmp_path}/catalog.db")
    assert back_up(engine, tmp_path / "backups", "none") is None
    assert not (tmp_path / "backups").exists()


def test_postgresql_is_left_to_pg_dump(catalog_engine: Engine, tmp_path: Path) -> None:
    copy = back_up(catalog_engine, tmp_path / "backups", "0001")
    assert (copy is None) == (catalog_engine.dialect.name == "postgresql")
