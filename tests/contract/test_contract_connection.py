"""A comparison leaves the connection and the database unchanged, or says why it is impossible."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Engine, create_engine, event, text
from sqlalchemy.dialects import mysql

from photolineage.contract.comparison import compare
from photolineage.contract.drift import DriftKind
from photolineage.contract.errors import (
    MissingPrivilegeError,
    ReadOnlyDatabaseError,
    UnsupportedDatabaseError,
)

_SCHEMAS = text("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")


def _metadata() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("state", sa.Enum("new", "done", name="image_state")),
    )
    return metadata


@pytest.fixture
def postgresql(postgresql_database: URL) -> Iterator[Engine]:
    engine = create_engine(postgresql_database)
    with engine.begin() as connection:
        _metadata().create_all(connection)
    yield engine
    engine.dispose()


def test_a_comparison_outside_a_transaction_leaves_no_transaction_open(postgresql: Engine) -> None:
    with postgresql.connect() as connection:
        assert compare(_metadata(), connection) == []
        assert not connection.in_transaction()
        assert connection.execute(_SCHEMAS).scalars().all() == ["information_schema", "public"]


def test_a_comparison_inside_a_transaction_keeps_its_changes(postgresql: Engine) -> None:
    with postgresql.connect() as connection:
        connection.exec_driver_sql("SET search_path TO pg_catalog, public")
        connection.exec_driver_sql("INSERT INTO image (path) VALUES ('a.jpg')")
        assert compare(_metadata(), connection) == []
        assert connection.in_transaction()
        connection.commit()
        assert connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one() == 1
        assert connection.exec_driver_sql("SHOW search_path").scalar_one() == "pg_catalog, public"


def test_in_autocommit_nothing_is_left_behind(postgresql: Engine) -> None:
    with postgresql.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        path = connection.exec_driver_sql("SHOW search_path").scalar_one()
        assert compare(_metadata(), connection) == []
        assert connection.execute(_SCHEMAS).scalars().all() == ["information_schema", "public"]
        assert connection.exec_driver_sql("SHOW search_path").scalar_one() == path


def test_in_autocommit_the_transaction_of_the_caller_stays_open(postgresql: Engine) -> None:
    with postgresql.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO image (path) VALUES ('a.jpg')")
        assert compare(_metadata(), connection) == []
        connection.exec_driver_sql("COMMIT")
        assert connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one() == 1


def test_the_schema_translation_of_the_caller_is_used_and_kept(postgresql: Engine) -> None:
    with postgresql.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA tenant; ALTER TABLE image SET SCHEMA tenant")
        connection.exec_driver_sql("ALTER TYPE image_state SET SCHEMA tenant")
    translated = postgresql.execution_options(schema_translate_map={None: "tenant"})
    with translated.connect() as connection:
        assert compare(_metadata(), connection) == []
        assert connection.get_execution_options()["schema_translate_map"][None] == "tenant"


def test_the_error_names_the_missing_privilege(postgresql: Engine) -> None:
    with postgresql.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE reader")
        connection.exec_driver_sql("SET LOCAL ROLE reader")
        database = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        with pytest.raises(MissingPrivilegeError, match=f'GRANT CREATE ON DATABASE "{database}" TO "reader"'):
            compare(_metadata(), connection)
        connection.rollback()


def test_a_read_only_transaction_is_an_error(postgresql: Engine) -> None:
    read_only = postgresql.execution_options(postgresql_readonly=True)
    with read_only.connect() as connection, pytest.raises(ReadOnlyDatabaseError, match="read-only"):
        compare(_metadata(), connection)


def test_a_type_of_a_missing_extension_is_a_drift(postgresql: Engine) -> None:
    vector = pytest.importorskip("pgvector.sqlalchemy").VECTOR
    metadata = _metadata()
    metadata.tables["image"].append_column(sa.Column("embedding", vector(3)))
    with postgresql.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE image ADD COLUMN embedding real[]")
        drifts = compare(metadata, connection)
        assert [(d.kind, d.name, d.actual) for d in drifts] == [(DriftKind.TYPE, "embedding", "real[]")]
        extensions = connection.exec_driver_sql("SELECT extname FROM pg_extension").scalars().all()
        assert extensions == ["plpgsql"]


def test_defaults_of_the_live_database_are_never_run(postgresql: Engine) -> None:
    metadata = _metadata()
    metadata.tables["image"].append_column(sa.Column("number", sa.Integer, server_default="1"))
    with postgresql.connect() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE counter")
        connection.exec_driver_sql("ALTER TABLE image ADD COLUMN number int DEFAULT nextval('counter')")
        assert [drift.kind for drift in compare(metadata, connection)] == [DriftKind.DEFAULT]
        assert connection.exec_driver_sql("SELECT is_called FROM counter").scalar_one() is False


def test_sqlite_is_read_without_a_transaction(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    with engine.begin() as connection:
        _metadata().create_all(connection)
    begun: list[object] = []
    event.listen(engine, "begin", begun.append)
    with engine.connect() as connection:
        assert compare(_metadata(), connection) == []
        assert not connection.in_transaction()
    assert begun == []


def test_a_locked_sqlite_database_can_be_read(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    with engine.begin() as connection:
        _metadata().create_all(connection)
    with engine.connect() as writer, engine.connect() as reader:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        assert compare(_metadata(), reader) == []


def test_a_read_only_sqlite_database_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    with create_engine(f"sqlite:///{path}").begin() as connection:
        _metadata().create_all(connection)
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with engine.connect() as connection:
        assert compare(_metadata(), connection) == []


def test_another_dialect_is_an_error() -> None:
    class Elsewhere:
        dialect = mysql.dialect()

    with pytest.raises(UnsupportedDatabaseError, match="mysql"):
        compare(_metadata(), Elsewhere())  # type: ignore[arg-type]
