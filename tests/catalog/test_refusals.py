"""Each refusal of a database gets the remedy that helps, and no remedy of another one."""

from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from photolineage.catalog.engine import CatalogUnreachableError, create_catalog_engine, require_reachable
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.refusals import explain_database_error, explain_refusal

SOCKET = 'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: '


@pytest.mark.parametrize(
    ("said", "told", "not_told"),
    [
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "me", database "photos", no encryption',
            "Add a line to its pg_hba.conf",
            "createdb",
        ),
        (f"{SOCKET}Permission denied\n\tIs the server running locally?", "server's socket", "GRANT"),
        (f'{SOCKET}FATAL:  database "photos" does not exist', "createdb <database>", "socket. Let"),
        (f'{SOCKET}FATAL:  permission denied for database "photos"', "GRANT CREATE ON DATABASE", "createdb"),
        ('FATAL:  role "me" does not exist', "createuser <role>", "createdb"),
        ("deadlock detected", "Run again", "Start the server"),
    ],
)
def test_the_remedy_belongs_to_the_refusal(said: str, told: str, not_told: str) -> None:
    explained = explain_database_error(OperationalError("SELECT 1", {}, Exception(said)))
    assert told in explained
    assert not_told not in explained


def test_a_closed_database_is_not_created(postgresql_database: URL) -> None:
    server = create_engine(
        postgresql_database.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    closed = f"ALTER DATABASE {postgresql_database.database} WITH ALLOW_CONNECTIONS"
    with server.connect() as connection:
        connection.exec_driver_sql(f"{closed} false")
    try:
        engine = create_catalog_engine(postgresql_database.render_as_string(hide_password=False))
        with pytest.raises(CatalogUnreachableError, match="ALLOW_CONNECTIONS true") as refused:
            require_reachable(engine)
        assert "createdb" not in str(refused.value)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"{closed} true")


def test_a_damaged_file_of_sqlite_is_a_refusal(tmp_path: Path) -> None:
    file = tmp_path / "catalog.db"
    engine = create_catalog_engine(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(DBAPIError) as damaged, engine.connect() as connection:
        connection.execute(text("SELECT * FROM image"))
    assert not isinstance(damaged.value, OperationalError)
    explained = explain_refusal(damaged.value)
    assert explained is not None
    assert "disk image is malformed. The file is damaged." in explained
    assert "restore a backup" in explained
