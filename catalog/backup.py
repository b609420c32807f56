"""Backups of the catalog before a migration."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine


def back_up(engine: Engine, directory: Path, revision: str) -> Path | None:
    """Copy a SQLite catalog by the online backup API; the copy's path names its time and revision.

    None for PostgreSQL, which `pg_dump` backs up, and for a database that has no file yet.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    source = Path(engine.url.database)
    if not source.is_file() or not source.stat().st_size:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    copy = directory / f"catalog-{datetime.now(UTC):%Y%m%dT%H%M%S}-{revision}.db"
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(copy)) as backup:
        live.backup(backup)
    return copy
