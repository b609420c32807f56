"""The databases of the trials: how to fill one, and what must survive a fix."""

import math
import re
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, create_engine, make_url

from workloads.contract_fixes.runners import Runner, postgresql_runners, sqlite_runners

Rows = dict[str, dict[str, list[Any]]]
"""The values by table and column, row after row."""


class Database(ABC):
    """A database that is made again for every fix."""

    dialect: str
    runners: dict[str, Runner]
    address: str

    @abstractmethod
    def make(self, metadata: MetaData, statements: list[str]) -> None:
        """Makes it again. A statement that the database refuses, such as a row that breaks a rule, is left out."""

    @abstractmethod
    def again(self) -> None:
        """Makes it again as it was made."""

    @abstractmethod
    def tables(self, connection: Connection) -> dict[str, list[str]]:
        """The columns of every table."""

    @abstractmethod
    def constraints(self) -> set[str]:
        """The names of the constraints of `item`."""

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection for comparing and reading; what it writes is rolled back."""
        engine = create_engine(self._url)
        with engine.connect() as connection:
            yield connection
            connection.rollback()
        engine.dispose()

    @property
    @abstractmethod
    def _url(self) -> sa.URL: ...

    def rows(self) -> Rows:
        """Every value of every table. The rows are in the order of their key."""
        with self.connected() as connection:
            found: Rows = {}
            for table, columns in self.tables(connection).items():
                names = ", ".join(f'"{column}"' for column in columns)
                order = " ORDER BY id" if "id" in columns else ""
                values = connection.exec_driver_sql(f'SELECT {names} FROM "{table}"{order}').all()
                found[table] = {
                    column: [_comparable(row[place]) for row in values]
                    for place, column in enumerate(columns)
                }
            return found

    def works(self, *, scripts: bool) -> list[str]:
        """What no longer works: the view, or the trigger that logs deleted rows."""
        if not scripts:
            return []
        with self.connected() as connection:
            rows = connection.exec_driver_sql("SELECT count(*) FROM item_ids").scalar_one()
            connection.exec_driver_sql("DELETE FROM item")
            logged = connection.exec_driver_sql("SELECT count(*) FROM log").scalar_one()
            return [] if rows == logged else [f"the trigger logs {logged} of {rows} rows"]


def _comparable(value: Any) -> Any:
    """Numbers that are equal are one value, whatever their type. A number is not equal to its text."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return (type(value).__name__, value)
    if not math.isfinite(value):
        return str(float(value))
    return Fraction(value)


class SqliteDatabase(Database):
    """A SQLite file."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "fixes.db")
        self.runners = sqlite_runners()
        self._made = folder / "made.db"

    @property
    def _url(self) -> sa.URL:
        return sa.URL.create("sqlite", database=self.address)

    def make(self, metadata: MetaData, statements: list[str]) -> None:
        Path(self.address).unlink(missing_ok=True)
        engine = create_engine(self._url)
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
            metadata.create_all(connection, checkfirst=False)
        engine.dispose()
        with closing(sqlite3.connect(self.address, isolation_level=None)) as driver:
            driver.execute("PRAGMA foreign_keys = ON")
            driver.execute("BEGIN")
            for statement in statements:
                with suppress(sqlite3.IntegrityError):
                    driver.execute(statement)
            driver.execute("COMMIT")
        shutil.copyfile(self.address, self._made)

    def again(self) -> None:
        shutil.copyfile(self._made, self.address)

    def constraints(self) -> set[str]:
        with self.connected() as connection:
            sql = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'item'").scalar_one()
            return set(re.findall(r"CONSTRAINT (\w+)", sql))

    def tables(self, connection: Connection) -> dict[str, list[str]]:
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        return {
            name: list(
                connection.exec_driver_sql("SELECT name FROM pragma_table_xinfo(?)", (name,)).scalars()
            )
            for name in names.scalars().all()
        }


class PostgresqlDatabase(Database):
    """The default schema of a PostgreSQL database."""

    dialect = "postgresql"

    def __init__(self, address: str) -> None:
        self.address = address
        self.runners = postgresql_runners()
        self._engine = create_engine(self._url)
        self._made: tuple[MetaData, list[str]] = MetaData(), []

    @property
    def _url(self) -> sa.URL:
        return make_url(self.address).set(drivername="postgresql+psycopg")

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection
            connection.rollback()

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def make(self, metadata: MetaData, statements: list[str]) -> None:
        with self._engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
            metadata.create_all(connection, checkfirst=False)
            driver = connection.connection.dbapi_connection
            assert isinstance(driver, psycopg.Connection)
            for statement in statements:
                try:
                    with driver.transaction():
                        driver.execute(statement.encode())
                except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
                    continue
        self._made = metadata, statements

    def again(self) -> None:
        self.make(*self._made)

    def constraints(self) -> set[str]:
        with self.connected() as connection:
            names = connection.exec_driver_sql(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'item'::regclass"
            )
            return set(names.scalars())

    def tables(self, connection: Connection) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        columns = connection.exec_driver_sql(
            "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        for table, column in columns:
            found.setdefault(table, []).append(column)
        return found
