"""A pytest plugin: `assert_no_drift`, and the fixture `migrated_database`. It needs pytest."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import pytest
from sqlalchemy import URL, Connection, Engine, MetaData, NullPool, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError

from .alembic_project import AlembicProject, Target
from .comparison import compare
from .selection import CompareOptions
from .text_table import difference_text, summary

_FIXTURE = "migrated_database"
_DATABASES = "drift_databases"
_ALEMBIC_INI = "drift_alembic_ini"


def assert_no_drift(
    connection: Connection | Engine,
    metadata: MetaData | Iterable[MetaData],
    **options: Unpack[CompareOptions],
) -> None:
    """Raises an AssertionError that lists all differences with their fixes. `options` are those of `compare`."""
    __tracebackhide__ = True
    drifts = compare(metadata, connection, **options)
    if drifts:
        raise AssertionError(f"{summary(drifts)}\n{difference_text(drifts)}")


@dataclass(frozen=True)
class MigratedDatabase:
    """A temporary database on which all migrations of an Alembic project have run.

    `target`: the metadata that the project's env.py names, and its version table.
    """

    engine: Engine
    target: Target

    def assert_no_drift(self, **options: Unpack[CompareOptions]) -> None:
        """Raises an AssertionError if the migrations make another schema than the models declare."""
        __tracebackhide__ = True
        known: CompareOptions = {"version_tables": self.target.version_tables}
        assert_no_drift(self.engine, self.target.metadata, **(known | options))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the settings of the fixture `migrated_database`."""
    parser.addini(
        _DATABASES,
        "Where the migrations run, one URL per line. sqlite:// is a temporary file. On PostgreSQL, a temporary database"
        " is created next to the one that the URL names. A line such as $POSTGRESQL_URL names a variable of the"
        " environment; without the variable, the tests are skipped. Default: sqlite://",
        type="linelist",
        default=["sqlite://"],
    )
    parser.addini(_ALEMBIC_INI, "The alembic.ini of the project. Default: alembic.ini", default="alembic.ini")
    parser.getgroup("drift").addoption(
        "--drift-database",
        action="append",
        metavar="URL",
        help=f"run the migrations here too, as if {_DATABASES} listed this URL",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that uses `migrated_database` once for each database."""
    if _FIXTURE in metafunc.fixturenames:
        lines = [*metafunc.config.getini(_DATABASES), *(metafunc.config.getoption("--drift-database") or ())]
        metafunc.parametrize(_FIXTURE, [_parameter(line) for line in lines], indirect=True)


@pytest.fixture
def migrated_database(request: pytest.FixtureRequest) -> Iterator[MigratedDatabase]:
    """A temporary database on which all migrations have run. The setting `drift_databases` says on which servers."""
    inifile: Path = request.config.rootpath / request.config.getini(_ALEMBIC_INI)
    with _temporary_database(request.param) as url:
        engine = create_engine(url, poolclass=NullPool)
        project = AlembicProject(inifile, url.render_as_string(hide_password=False))
        with engine.connect() as connection:
            project.upgrade(connection)
        yield MigratedDatabase(engine, project.target())


def _parameter(line: str) -> object:
    if line.startswith("$") and line[1:] not in os.environ:
        skip = pytest.mark.skip(reason=f"the environment variable {line[1:]} names no database")
        return pytest.param(None, id=line[1:], marks=skip)
    try:
        url = make_url(os.environ[line[1:]] if line.startswith("$") else line)
        dialect = url.get_dialect()
    except (ArgumentError, ValueError):
        # The error's own text may contain a password.
        raise pytest.UsageError(
            f"{_DATABASES}: a URL cannot be read, or its driver is not installed."
        ) from None
    if dialect.name not in ("sqlite", "postgresql") or dialect.is_async:
        raise pytest.UsageError(
            f"{_DATABASES}: {url.drivername}:// is not supported. Name SQLite, or PostgreSQL with a driver such as"
            " postgresql+psycopg://."
        )
    return pytest.param(url, id=dialect.name)


@contextmanager
def _temporary_database(server: URL) -> Iterator[URL]:
    with ExitStack() as stack:
        if server.get_backend_name() == "sqlite":
            folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            yield server.set(database=str(Path(folder) / "migrated.db"))
            return
        engine = create_engine(server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        name = f"drift_{secrets.token_hex(6)}"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield server.set(database=name)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
