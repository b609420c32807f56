"""A database that asks for a password."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine, text

PASSWORD = "Kq7planted@of/the?Zt9catalog"


@pytest.fixture
def database_with_password(postgresql_server: URL, postgresql_database: URL) -> Iterator[URL]:
    """A database whose owner gets in with a password only."""
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as server:
        rules = Path(server.execute(text("SHOW hba_file")).scalar_one())
        server.exec_driver_sql(f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}'")
        server.exec_driver_sql(f"ALTER DATABASE {postgresql_database.database} OWNER TO keeper")
        before = rules.read_text()
        rules.write_text(f"local all keeper scram-sha-256\nhost all keeper all scram-sha-256\n{before}")
        server.exec_driver_sql("SELECT pg_reload_conf()")
        yield postgresql_database.set(username="keeper", password=PASSWORD)
        rules.write_text(before)
        server.exec_driver_sql(f"DROP DATABASE {postgresql_database.database} WITH (FORCE)")
        server.exec_driver_sql(f"CREATE DATABASE {postgresql_database.database}")
        server.exec_driver_sql("DROP ROLE keeper")
