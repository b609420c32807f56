"""A renamed constraint or index is one warning, and an enum type goes with the last column that has it."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, MetaData, create_engine

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Drift, DriftKind, Severity
from workloads.contract_cases.fixing import run
from workloads.contract_fixes.runners import Run, sqlite_runners


def _photos(type_: "sa.types.TypeEngine[Any]", *items: sa.schema.SchemaItem) -> MetaData:
    metadata = MetaData()
    columns = (sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", type_))
    sa.Table("photo", metadata, *columns, *items)
    return metadata


@pytest.fixture(scope="module")
def server(new_postgresql_database: Callable[[], URL]) -> URL:
    return new_postgresql_database()


@pytest.fixture
def postgresql(server: URL) -> Iterator[Connection]:
    engine = create_engine(server)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


@pytest.mark.parametrize(
    ("constraint", "definition"),
    [
        (sa.UniqueConstraint("title", name="proper"), "UNIQUE"),
        (sa.CheckConstraint("title > 0", name="proper"), "CHECK (title > 0)"),
        (sa.ForeignKeyConstraint(["title"], ["photo.id"], name="proper"), "REFERENCES photo (id)"),
    ],
    ids=["unique", "check", "foreign key"],
)
def test_a_renamed_constraint_is_one_warning_that_renames_it(
    postgresql: Connection, constraint: sa.Constraint, definition: str
) -> None:
    column = f"title integer CONSTRAINT wrong {definition}"
    postgresql.exec_driver_sql(f"CREATE TABLE photo (id serial PRIMARY KEY, {column})")
    (drift,) = compare(_photos(sa.Integer(), constraint), postgresql)
    assert drift.severity is Severity.WARNING
    assert drift.fix.safe == ("ALTER TABLE photo RENAME CONSTRAINT wrong TO proper",)


@pytest.mark.parametrize("unique", ["", "UNIQUE "])
def test_a_renamed_index_is_one_warning_that_renames_it(postgresql: Connection, unique: str) -> None:
    metadata = _photos(sa.Integer(), sa.Index("proper", "title", unique=bool(unique)))
    postgresql.exec_driver_sql("CREATE TABLE photo (id serial PRIMARY KEY, title integer)")
    postgresql.exec_driver_sql(f"CREATE {unique}INDEX wrong ON photo (title)")
    (drift,) = compare(metadata, postgresql)
    assert (drift.kind, drift.name, drift.severity) == (DriftKind.INDEX_CHANGED, "proper", Severity.WARNING)
    assert (drift.expected or "").startswith("INDEX proper ")
    assert (drift.actual or "").startswith("INDEX wrong ")
    assert drift.fix.safe == ("ALTER INDEX wrong RENAME TO proper",)


def _on_sqlite(metadata: MetaData, file: Path, table: str) -> list[Drift]:
    engine = create_engine(f"sqlite:///{file}")
    drifts = [drift for drift in compare(metadata, engine) if drift.table == table]
    engine.dispose()
    return drifts


@pytest.mark.parametrize("unique", ["", "UNIQUE "])
@pytest.mark.parametrize("runner", sorted(sqlite_runners()))
def test_a_renamed_index_of_sqlite_is_one_warning_and_never_lost(
    tmp_path: Path, runner: str, unique: str
) -> None:
    metadata = _photos(sa.Text(), sa.Index("proper", "title", unique=bool(unique)))
    file = tmp_path / "photos.db"
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, title TEXT)",
        f"CREATE {unique}INDEX wrong ON photo (title)",
        "CREATE TABLE other (a)",
        "CREATE INDEX proper ON other (a)",
    ):
        connection.execute(statement)
    (drift,) = _on_sqlite(metadata, file, "photo")
    assert (drift.kind, drift.severity) == (DriftKind.INDEX_CHANGED, Severity.WARNING)
    fix = Run(drift, drift.fix.safe, str(file))
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'photo'"
    sqlite_runners()[runner](fix)
    assert connection.execute(indexes).fetchall() == [("wrong",)]
    connection.execute("DROP TABLE other")
    sqlite_runners()[runner](fix)
    assert connection.execute(indexes).fetchall() == [("proper",)]
    connection.close()
    assert _on_sqlite(metadata, file, "photo") == []


def test_an_enum_type_goes_with_the_last_column_that_has_it(postgresql: Connection) -> None:
    for statement in (
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE TYPE used AS ENUM ('a')",
        "CREATE TABLE photo (id serial PRIMARY KEY, title text, legacy mood)",
        "CREATE TABLE attic (id integer, mood mood, used used)",
        "CREATE FUNCTION first_used() RETURNS used LANGUAGE sql AS $$ SELECT 'a'::used $$",
    ):
        postgresql.exec_driver_sql(statement)
    metadata = _photos(sa.Text())
    drifts = compare(metadata, postgresql)
    assert {drift.kind for drift in drifts} == {DriftKind.EXTRA_COLUMN, DriftKind.EXTRA_TABLE}
    for drift in drifts:
        run(postgresql, drift.fix.destructive)
    (left,) = compare(metadata, postgresql)
    assert (left.kind, left.name) == (DriftKind.ENUM_EXTRA, "used")
