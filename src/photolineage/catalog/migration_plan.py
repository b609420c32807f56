"""A migration run by a person: shown first, then backed up, then applied in one transaction."""

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
    """The tables of a PostgreSQL catalog are changed only after the user confirms that a backup exists."""


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """The revisions that a migration would apply, and their SQL. Both are empty if the catalog is up to date."""

    revision: CatalogRevision
    sql: str


def plan_migration(engine: Engine) -> MigrationPlan:
    """The plan of the next migration. Raises UnmigratedCatalogError for tables that no migration has made."""
    with engine.connect() as connection:
        revision = catalog_revision(connection)
    refuse_foreign_tables(engine, revision)
    return MigrationPlan(revision, "" if revision.is_current else upgrade_sql(engine, revision.found))


def apply_migration(engine: Engine, backups: Path, *, has_backup: bool) -> Path | None:
    """Back up a SQLite catalog, then bring it to the newest revision. Returns the backup's path.

    An empty database needs no backup. Raises BackupRequiredError for a PostgreSQL catalog with tables if `has_backup`
    is false.
    """
    plan = plan_migration(engine)
    if plan.revision.is_current:
        return None
    backup = None
    if plan.revision.has_tables:
        backup = back_up_first(
            engine, backups, str(plan.revision.found), has_backup=has_backup, command="migrate"
        )
    upgrade(engine)
    return backup


def back_up_first(
    engine: Engine, backups: Path, revision: str, *, has_backup: bool, command: str
) -> Path | None:
    """Back up a SQLite catalog before `photolineage <command>` changes its tables. Returns the backup's path.

    Raises BackupRequiredError for a PostgreSQL catalog if `has_backup` is false.
    """
    if engine.dialect.name == "postgresql" and not has_backup:
        database = engine.url.database
        raise BackupRequiredError(
            f"this changes the tables of the PostgreSQL database {database!r}. Back it up first "
            f"(`pg_dump --format=custom --file=catalog.dump {database}`), then confirm it: "
            f"`photolineage {command} --i-have-a-backup`, or `i_have_a_backup: true` in the job's configuration."
        )
    return back_up(engine, backups, revision)


def back_up(engine: Engine, directory: Path, revision: str) -> Path | None:
    """Copy a SQLite catalog with the online backup API. The copy's name contains the time and the revision.

    Returns None for PostgreSQL, which `pg_dump` backs up, and for a database that has no file yet.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    source = Path(engine.url.database)
    if not source.is_file() or not source.stat().st_size:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    copy = directory / f"catalog-{datetime.now(UTC):%Y%m%dT%H%M%S_%f}-{revision}.db"
    copy.touch(exist_ok=False)  # not through a link that has this name
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(copy)) as backup:
        live.backup(backup)
    return copy
