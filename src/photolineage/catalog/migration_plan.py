"""A migration as a person runs it: shown first, backed up, applied in one transaction."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from photolineage.catalog.migrate import (
    CatalogRevision,
    catalog_revision,
    refuse_foreign_tables,
    upgrade,
    upgrade_sql,
)
from photolineage.errors import PhotolineageError


class BackupRequiredError(PhotolineageError):
    """A PostgreSQL catalog is migrated only after somebody says that there is a backup."""


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What a migration would do: the revisions to come and their SQL; both empty where there is nothing to do."""

    revision: CatalogRevision
    sql: str


def plan_migration(engine: Engine) -> MigrationPlan:
    """What would be applied. Raises UnmigratedCatalogError for tables that no migration has made."""
    with engine.connect() as connection:
        revision = catalog_revision(connection)
    refuse_foreign_tables(engine, revision)
    return MigrationPlan(revision, "" if revision.is_current else upgrade_sql(engine, revision.found))


def apply_migration(engine: Engine, backups: Path, *, has_backup: bool) -> Path | None:
    """Back up a SQLite catalog, then bring it to the newest revision; the backup's path is returned.

    An empty database needs none.
    Raises BackupRequiredError for a PostgreSQL catalog with tables, unless `has_backup`.
    """
    plan = plan_migration(engine)
    if plan.revision.is_current:
        return None
    if engine.dialect.name == "postgresql" and plan.revision.has_tables and not has_backup:
        database = engine.url.database
        raise BackupRequiredError(
            f"this migration changes the PostgreSQL database {database!r}. Back it up first "
            f"(`pg_dump --format=custom --file=catalog.dump {database}`), then say so: "
            "`photolineage migrate --i-have-a-backup`, or `i_have_a_backup: true` in the job's configuration."
        )
    backup = back_up(engine, backups, str(plan.revision.found)) if plan.revision.has_tables else None
    upgrade(engine)
    return backup


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
