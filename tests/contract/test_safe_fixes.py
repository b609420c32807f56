"""What a safe fix keeps: each case lost or changed something once, or left it behind."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Drift, DriftKind
from photolineage.contract.scripts import script
from photolineage.contract.sqlite.fixes import SqliteFixes
from workloads.contract_cases.fixing import run
from workloads.contract_fixes.runners import Run, postgresql_runners, sqlite_runners

_TAB = "'a\tb'"


def _photos(*items: Any) -> MetaData:
    metadata = MetaData()
    sa.Table("photo", metadata, sa.Column("id", sa.Integer, primary_key=True), *items)
    return metadata


def _column(type_: Any, *, nullable: bool = True) -> "sa.Column[Any]":
    return sa.Column("title", type_, nullable=nullable)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "photos.db"


def _made(file: Path, *statements: str) -> None:
    with sqlite3.connect(file, isolation_level=None) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def _drifts(metadata: MetaData, file: Path) -> list[Drift]:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        drifts = compare(metadata, connection)
    engine.dispose()
    return drifts


def _rows(file: Path, query: str = "SELECT * FROM photo ORDER BY id") -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    rows = connection.execute(query).fetchall()
    connection.close()
    return rows


def _executed(connection: sqlite3.Connection, statements: tuple[str, ...]) -> list[str]:
    errors = []
    for statement in statements:
        try:
            connection.execute(statement)
        except sqlite3.Error as error:
            errors.append(str(error))
    return errors


_NULL_TITLE = (
    "CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, title TEXT)",
    "INSERT INTO photo VALUES (1, 'a'), (2, NULL)",
)
_REQUIRED = _photos(_column(sa.Text, nullable=False))


@pytest.mark.parametrize("runner", sorted(sqlite_runners()))
def test_rows_that_do_not_fit_stay_whatever_runs_the_rebuild(file: Path, runner: str) -> None:
    _made(file, *_NULL_TITLE)
    (drift,) = _drifts(_REQUIRED, file)
    errors = sqlite_runners()[runner](Run(drift, drift.fix.safe, str(file)))
    assert "NOT NULL constraint failed" in errors[0]
    assert _rows(file) == [(1, "a"), (2, None)]
    assert _rows(file, "SELECT name FROM sqlite_master") == [("photo",)]


@pytest.mark.parametrize("runner", sorted(sqlite_runners()))
def test_rows_that_fit_are_kept_whatever_runs_the_rebuild(file: Path, runner: str) -> None:
    _made(file, *_NULL_TITLE, "DELETE FROM photo WHERE id = 2")
    (drift,) = _drifts(_REQUIRED, file)
    assert sqlite_runners()[runner](Run(drift, drift.fix.safe, str(file))) == []
    assert _rows(file) == [(1, "a")]
    assert _drifts(_REQUIRED, file) == []


def test_a_rebuild_that_cannot_begin_its_transaction_changes_nothing(file: Path) -> None:
    _made(file, *_NULL_TITLE, "DELETE FROM photo WHERE id = 2")
    (drift,) = _drifts(_REQUIRED, file)
    writer = sqlite3.connect(file, isolation_level=None)
    runner = sqlite3.connect(file, isolation_level=None, timeout=0)
    begin = drift.fix.safe.index("BEGIN IMMEDIATE") + 1
    writer.execute("BEGIN IMMEDIATE")
    assert "database is locked" in _executed(runner, drift.fix.safe[:begin])
    writer.execute("UPDATE photo SET title = 'b'")
    writer.execute("COMMIT")
    assert "a transaction is open and foreign keys are off" in str(_executed(runner, drift.fix.safe[begin:]))
    assert _rows(file) == [(1, "b")]
    assert [found.kind for found in _drifts(_REQUIRED, file)] == [DriftKind.NULLABLE]


def test_a_rebuild_inside_a_transaction_with_foreign_keys_deletes_no_other_rows(file: Path) -> None:
    child = "CREATE TABLE remark (id INTEGER PRIMARY KEY, photo_id INTEGER REFERENCES photo (id) ON DELETE CASCADE)"
    _made(file, *_NULL_TITLE, "DELETE FROM photo WHERE id = 2", child, "INSERT INTO remark VALUES (1, 1)")
    drift = _drifts(_REQUIRED, file)[0]
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("BEGIN")
    assert _executed(connection, drift.fix.safe) != []
    connection.close()
    assert (_rows(file), _rows(file, "SELECT * FROM remark")) == ([(1, "a")], [(1, 1)])
    assert "REFERENCES photo (id)" in str(_rows(file, "SELECT sql FROM sqlite_master WHERE name = 'remark'"))


@pytest.mark.parametrize("title", ["'b'", "NULL"], ids=["rows fit", "rows do not fit"])
def test_no_statement_that_fails_for_another_reason_loses_a_row(file: Path, title: str) -> None:
    _made(file, *_NULL_TITLE[:1], f"INSERT INTO photo VALUES (1, 'a'), (2, {title})")
    statements = _drifts(_REQUIRED, file)[0].fix.safe
    before = _rows(file)
    for failing in statements:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        with closing(sqlite3.connect(file)) as source:
            source.backup(connection)
        _executed(connection, tuple(statement for statement in statements if statement != failing))
        names = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'photo%'").fetchall()
        kept = [
            connection.execute(f'SELECT * FROM main."{name}" ORDER BY id').fetchall() for (name,) in names
        ]
        assert before in kept, failing
        connection.close()


@pytest.mark.parametrize("action", ["REPLACE", "IGNORE"])
def test_a_unique_that_replaces_rows_is_refused_while_rows_are_equal(file: Path, action: str) -> None:
    _made(file, *_NULL_TITLE[:1], "INSERT INTO photo VALUES (1, 'a'), (2, 'a')")
    metadata = _photos(_column(sa.Text), sa.UniqueConstraint("title", sqlite_on_conflict=action))
    (drift,) = _drifts(metadata, file)
    errors = sqlite_runners()["goes on"](Run(drift, drift.fix.safe, str(file)))
    assert "UNIQUE constraint failed" in errors[0]
    assert _rows(file) == [(1, "a"), (2, "a")]


@pytest.mark.parametrize(
    ("declared", "stored", "type_"),
    [
        ("INTEGER", "9007199254740993", sa.Float()),
        ("REAL", "0.30000000000000004", sa.Text()),
        ("TEXT", "'007'", sa.Integer()),
        ("INTEGER", "5", sa.Text()),
    ],
)
def test_a_type_that_would_change_a_value_is_safe_only_as_long_as_it_does_not(
    file: Path, declared: str, stored: str, type_: sa.types.TypeEngine[object]
) -> None:
    _made(
        file,
        f"CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, title {declared})",
        f"INSERT INTO photo VALUES (1, {stored})",
    )
    before = _rows(file)
    (drift,) = _drifts(_photos(_column(type_)), file)
    errors = sqlite_runners()["goes on"](Run(drift, drift.fix.safe, str(file)))
    assert "no value changes" in errors[0]
    assert _rows(file) == before
    assert "convert the values" in drift.fix.note
    assert sqlite_runners()["stops"](Run(drift, drift.fix.destructive, str(file))) == []
    assert _rows(file) != before
    assert _drifts(_photos(_column(type_)), file) == []


def test_extra_columns_keep_their_constraints_in_a_rebuild(file: Path) -> None:
    extra = (
        f"a TEXT DEFAULT {_TAB} NOT NULL UNIQUE ON CONFLICT IGNORE,\n"
        f"b TEXT COLLATE NOCASE CONSTRAINT named CHECK (b <> {_TAB}),\n"
        "c INTEGER REFERENCES photo (id) ON DELETE SET NULL,\n"
        "d INTEGER GENERATED ALWAYS AS (id * 2) STORED"
    )
    table = ("UNIQUE (b, title)", "CHECK (a <> title)", "FOREIGN KEY (c) REFERENCES photo")
    _made(
        file, f"CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, title TEXT, {extra}, {', '.join(table)})"
    )
    drift = next(found for found in _drifts(_REQUIRED, file) if found.kind is DriftKind.NULLABLE)
    assert sqlite_runners()["stops"](Run(drift, drift.fix.safe, str(file))) == []
    (found,) = _rows(file, "SELECT sql FROM sqlite_master WHERE type = 'table'")
    kept = [part.strip() for part in (*extra.split(",\n"), *table)]
    assert [part for part in kept if part not in str(found[0])] == []
    assert {drift.kind for drift in _drifts(_REQUIRED, file)} == {DriftKind.EXTRA_COLUMN}


def test_tabs_stay_tabs(file: Path, postgresql: Engine) -> None:
    metadata = _photos(
        sa.Column("title", sa.Text, server_default=sa.text(_TAB)), sa.CheckConstraint(f"title <> {_TAB}")
    )
    trigger = f"CREATE TRIGGER t AFTER INSERT ON photo BEGIN UPDATE photo SET title = {_TAB}; END"
    _made(file, *_NULL_TITLE, trigger)
    for _ in range(2):
        for drift in _drifts(metadata, file):
            assert sqlite_runners()["stops"](Run(drift, drift.fix.safe, str(file))) == []
        assert _drifts(metadata, file) == []
        kept = str(_rows(file, "SELECT sql FROM sqlite_master"))
        assert kept.count("a\\tb") == (3 if trigger else 2)
        _made(file, "DROP TABLE photo")
        trigger = ""
    with postgresql.connect() as connection:
        (drift,) = compare(metadata, connection)
        run(connection, drift.fix.safe)
        assert compare(metadata, connection) == []


@pytest.fixture(scope="module")
def server(new_postgresql_database: Callable[[], URL]) -> URL:
    return new_postgresql_database()


@pytest.fixture
def postgresql(server: URL) -> Iterator[Engine]:
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    yield engine
    engine.dispose()


def _on_postgresql(postgresql: Engine, metadata: MetaData, *statements: str) -> list[Drift]:
    with postgresql.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    with postgresql.connect() as connection:
        return compare(metadata, connection)


@pytest.fixture(params=["stops", "goes on", "shell", "shell that goes on"])
def fix(request: pytest.FixtureRequest, server: URL) -> Callable[[Drift, tuple[str, ...]], list[str]]:
    runner = postgresql_runners()[request.param]
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    return lambda drift, statements: runner(Run(drift, statements, address))


Fixer = Callable[[Drift, tuple[str, ...]], list[str]]


def test_a_virtual_column_that_becomes_a_plain_one_keeps_its_values(postgresql: Engine, fix: Fixer) -> None:
    metadata = _photos(_column(sa.Integer), sa.CheckConstraint("title > 0", name="ck_title"))
    table = (
        "CREATE TABLE photo (id serial PRIMARY KEY, title integer GENERATED ALWAYS AS (id * 7) VIRTUAL,"
        " CONSTRAINT ck_title CHECK (title > 0))"
    )
    (drift,) = _on_postgresql(postgresql, metadata, table, "INSERT INTO photo VALUES (DEFAULT), (DEFAULT)")
    assert fix(drift, drift.fix.safe) == []
    with postgresql.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, title FROM photo ORDER BY 1").all() == [(1, 7), (2, 14)]
        assert compare(metadata, connection) == []


def test_blanks_at_the_end_of_a_string_are_not_cut_off(postgresql: Engine, fix: Fixer) -> None:
    metadata = _photos(_column(sa.String(3)))
    table = "CREATE TABLE photo (id serial PRIMARY KEY, title text)"
    (drift,) = _on_postgresql(postgresql, metadata, table, "INSERT INTO photo (title) VALUES ('ab  ')")
    (error, *_) = fix(drift, drift.fix.safe)
    assert "value too long for type character varying(3)" in error
    with postgresql.begin() as connection:
        assert connection.exec_driver_sql("SELECT title FROM photo").scalar_one() == "ab  "
        connection.exec_driver_sql("UPDATE photo SET title = 'ab '")
    assert fix(drift, drift.fix.safe) == []
    with postgresql.connect() as connection:
        assert connection.exec_driver_sql("SELECT title FROM photo").scalar_one() == "ab "
        assert compare(metadata, connection) == []


def test_a_refused_constraint_does_not_drop_the_former_one(postgresql: Engine, fix: Fixer) -> None:
    metadata = _photos(_column(sa.Text), sa.CheckConstraint("title <> 'a'", name="ck"))
    table = "CREATE TABLE photo (id serial PRIMARY KEY, title text, CONSTRAINT ck CHECK (title <> 'b'))"
    drifts = _on_postgresql(postgresql, metadata, table, "INSERT INTO photo (title) VALUES ('a')")
    assert fix(drifts[0], drifts[0].fix.safe) != []
    with postgresql.connect() as connection:
        (left,) = compare(metadata, connection)
        assert (left.kind, left.actual) == (DriftKind.CHECK_CHANGED, drifts[0].actual)


def _unknown(metadata: MetaData, connection: Connection) -> None:
    """Tables and columns that depend on each other, in an order in which they cannot be dropped."""
    rest = "b INTEGER REFERENCES b_child (id) ON DELETE CASCADE, c INTEGER CHECK (c > 0), d TEXT, e TEXT"
    for statement in (
        "CREATE TABLE a_parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE b_child (id INTEGER PRIMARY KEY, up INTEGER REFERENCES a_parent (id))",
        f"CREATE TABLE photo (id INTEGER PRIMARY KEY, title TEXT, a INTEGER UNIQUE, {rest})",
        "CREATE TABLE c_grandchild (id INTEGER PRIMARY KEY, up INTEGER REFERENCES photo (a))",
        "CREATE INDEX ix_d ON photo (d)",
        "INSERT INTO a_parent VALUES (1)",
        "INSERT INTO b_child VALUES (1, 1)",
        "INSERT INTO photo (id, title, a, b) VALUES (1, 'x', 1, 1)",
        "INSERT INTO c_grandchild VALUES (1, 1)",
    ):
        connection.exec_driver_sql(statement)
    drifts = [drift for drift in compare(metadata, connection) if drift.fix.destructive]
    assert len(drifts) >= 8
    for drift in drifts:
        run(connection, drift.fix.destructive)
    kinds = {drift.kind for drift in compare(metadata, connection)}
    assert kinds <= {DriftKind.AUTOINCREMENT}
    assert connection.exec_driver_sql("SELECT id, title FROM photo").all() == [(1, "x")]


def test_unknown_tables_and_columns_of_sqlite_are_dropped_in_the_order_of_the_report() -> None:
    engine = create_engine("sqlite://", poolclass=sa.StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        _unknown(_photos(_column(sa.Text)), connection)


def test_unknown_tables_and_columns_of_postgresql_are_dropped_in_the_order_of_the_report(
    postgresql: Engine,
) -> None:
    with postgresql.connect() as connection:
        _unknown(_photos(_column(sa.Text)), connection)


def test_dropping_one_table_deletes_no_rows_of_another(file: Path) -> None:
    child = "CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, title TEXT REFERENCES attic (id) ON DELETE CASCADE)"
    _made(
        file,
        "CREATE TABLE attic (id TEXT PRIMARY KEY)",
        child,
        "INSERT INTO attic VALUES ('x')",
        "INSERT INTO photo VALUES (1, 'x')",
    )
    drift = next(d for d in _drifts(_photos(_column(sa.Text)), file) if d.kind is DriftKind.EXTRA_TABLE)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    assert _executed(connection, drift.fix.destructive) == []
    connection.close()
    assert _rows(file) == [(1, "x")]


def test_a_printed_script_stops_at_the_first_error_and_shows_a_rebuild_once(file: Path) -> None:
    _made(file, "CREATE TABLE photo (id INTEGER NOT NULL PRIMARY KEY, title TEXT UNIQUE DEFAULT 'x')")
    drifts = _drifts(_REQUIRED, file)
    assert len(drifts) == 3
    printed = script(drifts, "sqlite")
    assert printed.splitlines()[0] == ".bail on"
    assert printed.count("BEGIN IMMEDIATE;") == 1
    on_postgresql = script(drifts, "postgresql").splitlines()
    assert on_postgresql[:2] == ["\\set ON_ERROR_STOP on", "BEGIN;"]
    assert on_postgresql[-1] == "COMMIT;"


def test_a_fix_is_made_when_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _made(file, *_NULL_TITLE)
    engine = create_engine(f"sqlite:///{file}")
    made: list[str] = []
    original = SqliteFixes.fix

    def counted(self: SqliteFixes, finding: object) -> object:
        made.append("fix")
        return original(self, finding)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteFixes, "fix", counted)
    with engine.connect() as connection:
        (drift,) = compare(_REQUIRED, connection)
    engine.dispose()
    assert made == []
    assert drift.fix.safe != ()
    assert drift.fix is drift.fix
    assert made == ["fix"]
