"""Migrations: the only code that creates and changes the catalog's tables."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text

from photolineage.catalog.engine import (
    REFUSALS,
    advisory_lock,
    explained_errors,
    reading,
    shown_url,
    write_transaction,
)
from photolineage.errors import PhotolineageError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

MIGRATE = "Launch the job `migrate_catalog` with `dry_run: false`, or run `photolineage migrate`."

MIGRATION_LOCK = 0x6D696772617465
"""The key of the PostgreSQL lock for migrations of one database."""


class UnmigratedCatalogError(PhotolineageError):
    """The catalog's revision is not the expected one; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration: its id and its description."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class CatalogRevision:
    """The revision of a database and the expected one. `found` is None if the database was never migrated."""

    found: str | None
    wanted: str
    pending: tuple[Revision, ...]
    has_tables: bool

    @property
    def is_current(self) -> bool:
        """Whether the database is at the expected revision."""
        return self.found == self.wanted


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def newest_revision() -> str:
    """The revision that this code expects, from the names of the migration files, which begin with their revision."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def is_at_newest_revision(connection: Connection) -> bool:
    """Whether the database is at the expected revision.

    This does not import Alembic, because the import would delay every command.
    """
    if not inspect(connection).has_table("alembic_version"):
        return False
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return list(found) == [newest_revision()]


def head_revision() -> str:
    """The revision that this code expects."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise AssertionError("the migrations folder is empty")
    return head


def catalog_revision(connection: Connection) -> CatalogRevision:
    """The revision of the database. Raises UnmigratedCatalogError if this code does not know the revision."""
    if is_at_newest_revision(connection):  # without Alembic, whose import would delay every run
        newest = newest_revision()
        return CatalogRevision(newest, newest, (), True)

    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    heads = MigrationContext.configure(connection).get_current_heads()
    if len(heads) > 1:
        raise UnmigratedCatalogError(
            f"the table alembic_version has {len(heads)} rows ({', '.join(sorted(heads))}), but a catalog has one "
            "revision. Perhaps a backup was restored into a catalog with rows: restore it into an empty database. If "
            "you know which revision is true, delete the rows of the others; `photolineage check` then compares the "
            "tables with the code. Nothing was changed."
        )
    found = heads[0] if heads else None
    known = {step.revision for step in script.walk_revisions()}
    if found is not None and found not in known:
        raise UnmigratedCatalogError(
            f"the catalog is at revision {found}, but this version of Photolineage only knows revisions up to "
            f"{head_revision()}: a newer version wrote the catalog. Install that version."
        )
    pending = [
        Revision(step.revision, (step.doc or "").strip())
        for step in script.iterate_revisions("head", found or "base")
    ]
    tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
    return CatalogRevision(found, head_revision(), tuple(reversed(pending)), bool(tables))


def refuse_foreign_tables(engine: Engine, revision: CatalogRevision) -> None:
    """Raise UnmigratedCatalogError if the database has tables that no migration has made."""
    if revision.found is None and revision.has_tables:
        raise UnmigratedCatalogError(why_unmigrated(f"the catalog {shown_url(engine.url)}", revision))


def why_unmigrated(catalog: str, revision: CatalogRevision) -> str:
    """What a person reads about a catalog of another revision: its state and the remedy."""
    if revision.found is not None:
        return f"{catalog} is at revision {revision.found}, but this code needs {revision.wanted}. {MIGRATE}"
    if revision.has_tables:
        return (
            f"{catalog} has tables, but no revision in the table alembic_version, so Photolineage did not create them. "
            "Give the catalog a database of its own (catalog.url)."
        )
    return f"{catalog} has no tables yet. Materialize catalog_schema, or run `photolineage migrate`."


def upgrade(engine: Engine) -> CatalogRevision:
    """Bring the database to the newest revision in one transaction. Returns the revision before.

    Raises UnmigratedCatalogError, and changes nothing, if the database has tables that no migration has made. Raises
    CatalogUnreachableError if the database cannot be written.
    """
    with explained_errors(engine, REFUSALS), schema_transaction(engine) as connection:
        advisory_lock(connection, MIGRATION_LOCK)
        before = catalog_revision(connection)
        refuse_foreign_tables(engine, before)
        _run_migrations(connection)
    return before


def _run_migrations(connection: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def schema_transaction(engine: Engine) -> Iterator[Connection]:
    """A write transaction in which SQLite can drop and rebuild a table without deleting the rows that refer to it.

    The steps follow https://www.sqlite.org/lang_altertable.html#otheralter. On PostgreSQL this is a plain transaction.
    """
    if engine.dialect.name != "sqlite":
        with write_transaction(engine) as connection:
            yield connection
        return
    with engine.connect() as outside:
        driver = outside.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            with outside.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin():
                yield outside
                _require_no_dangling_rows(outside)
        finally:
            driver.execute("PRAGMA foreign_keys = ON")


def _require_no_dangling_rows(connection: Connection) -> None:
    dangling = connection.execute(text("PRAGMA foreign_key_check")).all()
    if dangling:
        tables = ", ".join(sorted({f"{row.table} (to {row.parent})" for row in dangling}))
        raise UnmigratedCatalogError(
            f"the new tables would have {len(dangling)} rows that refer to missing rows, in {tables}. Nothing was "
            "changed. Fix these rows (`PRAGMA foreign_key_check` lists them), then try again."
        )


def upgrade_sql(engine: Engine, since: str | None) -> str:
    """The SQL that brings a database from revision `since` to the newest one. The database is not changed."""
    return _sql_on_empty_tables(engine) if engine.dialect.name == "sqlite" else _offline_sql(engine, since)


def _offline_sql(engine: Engine, since: str | None) -> str:
    from alembic import command

    buffer = io.StringIO()
    config = _config()
    config.output_buffer = buffer
    config.set_main_option("sqlalchemy.url", engine.url.render_as_string().replace("%", "%%"))
    command.upgrade(config, f"{since}:head" if since else "head", sql=True)
    return buffer.getvalue()


def _sql_on_empty_tables(engine: Engine) -> str:
    """The SQL that the migrations run on a copy without rows. Only such a run shows how SQLite rebuilds tables."""
    from alembic.migration import MigrationContext

    with engine.connect() as live:
        tables = live.execute(
            text(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            )
        ).scalars()
        schema = tables.all()
        found = MigrationContext.configure(live).get_current_revision()
    statements: list[str] = []
    with create_engine("sqlite://").begin() as copy:
        for statement in schema:
            copy.exec_driver_sql(statement)
        if found is not None:
            copy.execute(text("INSERT INTO alembic_version VALUES (:found)"), {"found": found})

        @event.listens_for(copy, "before_cursor_execute")
        def _note(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
            if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
                statements.append(f"{statement.strip()};\n")

        _run_migrations(copy)
    return "\n".join(statements)


def require_current(engine: Engine) -> None:
    """Raise UnmigratedCatalogError if the database is not at the expected revision."""
    with reading(engine) as connection:
        revision = catalog_revision(connection)
    if revision.is_current:
        return
    reason = why_unmigrated(f"the catalog {shown_url(engine.url)}", revision)
    if revision.found is not None:
        steps = "; ".join(f"{step.id} ({step.title})" for step in revision.pending)
        reason += f" Missing migrations: {steps}."
    raise UnmigratedCatalogError(reason)
