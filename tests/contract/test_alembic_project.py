"""An Alembic project: its metadata is read without a connection, and its migrations run where we say."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine, inspect

from photolineage.contract import ContractError, compare
from photolineage.contract.alembic_project import AlembicProject
from tests.contract.alembic_projects import ENV, write_project

ONLINE_ONLY = ENV.replace(
    "if context.is_offline_mode():", "if context.is_offline_mode():\n    raise SystemExit(1)\nif False:"
)
ASYNC = """
import asyncio

from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

from {models} import Base


def run(connection):
    context.configure(connection=connection, target_metadata=[Base.metadata])
    with context.begin_transaction():
        context.run_migrations()


async def online():
    async with create_async_engine("postgresql+asyncpg://nobody@localhost:1/none").connect() as connection:
        await connection.run_sync(run)


if context.is_offline_mode():
    run(None)
else:
    asyncio.run(online())
"""


@pytest.fixture(autouse=True)
def _import_path_as_before() -> Iterator[None]:
    before = [*sys.path]
    yield
    sys.path[:] = before


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "migrated.db"))
    url: URL = request.getfixturevalue("postgresql_database")
    return url


def test_env_py_names_the_metadata_the_version_table_and_the_url(tmp_path: Path) -> None:
    target = AlembicProject(write_project(tmp_path, models="named_models")).target()
    assert [[*metadata.tables] for metadata in target.metadata] == [["account"]]
    assert target.version_tables == ("revision",)
    assert target.url == "driver://user:pass@host/database"


def test_an_env_py_finds_the_alembic_ini_beside_its_folder(tmp_path: Path) -> None:
    write_project(tmp_path, models="beside_models")
    target = AlembicProject(tmp_path / "migrations" / "env.py", "sqlite://").target()
    assert target.url == "sqlite://"
    assert [*target.metadata[0].tables] == ["account"]


def test_an_env_py_without_an_offline_mode_runs_online(tmp_path: Path) -> None:
    project = AlembicProject(write_project(tmp_path, models="online_models", env=ONLINE_ONLY), "sqlite://")
    assert [*project.target().metadata[0].tables] == ["account"]


@pytest.mark.parametrize("env", [ENV, ASYNC], ids=["usual", "async"])
def test_migrations_run_over_our_connection(tmp_path: Path, url: URL, env: str) -> None:
    """Although env.py would connect to a server that does not exist."""
    models = f"models_{url.get_backend_name()}_{len(env)}"
    project = AlembicProject(write_project(tmp_path, models=models, env=env))
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        project.upgrade(connection)
    target = project.target()
    assert {"account", *target.version_tables} == {*inspect(engine).get_table_names()}
    assert compare(target.metadata, engine, version_tables=target.version_tables) == []


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            "raise RuntimeError('cannot reach driver://user:s3cret@host/database')",
            "RuntimeError: cannot reach",
        ),
        ("from alembic import context\ncontext.configure(url='sqlite://')", "names no target_metadata"),
        ("import alembic", "does not call context.configure()"),
    ],
    ids=["fails", "without metadata", "without configure"],
)
def test_an_env_py_that_does_not_work_is_explained_without_the_password(
    tmp_path: Path, env: str, said: str
) -> None:
    url = "driver://user:s3cret@host/database"
    project = AlembicProject(write_project(tmp_path, models="unused_models", env=env, url=url))
    with pytest.raises(ContractError) as raised:
        project.target()
    assert said in str(raised.value)
    assert "migrations/env.py" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_migration_that_fails_is_explained(tmp_path: Path) -> None:
    inifile = write_project(tmp_path, models="failing_models", email="1 / 0")
    engine = create_engine(f"sqlite:///{tmp_path}/failed.db", poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(ContractError, match="ZeroDivisionError"):
        AlembicProject(inifile).upgrade(connection)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"there is no file '.*alembic\.ini'"):
        AlembicProject(tmp_path / "alembic.ini")
