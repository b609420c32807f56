"""The pytest plugin, in a pytest of its own: what a failing test says, and where the migrations run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, Column, Integer, MetaData, Table, Text, create_engine, text

from photolineage.contract.pytest_plugin import assert_no_drift
from tests.contract.alembic_projects import EMAIL, write_project

TEST = """
def test_the_migrations_make_what_the_models_declare(migrated_database):
    migrated_database.assert_no_drift()
"""
NOT_UNIQUE = EMAIL.partition(", sa.Unique")[0]


def run_pytest(folder: Path, settings: str = "", *arguments: str, **variables: str) -> tuple[int, str]:
    """Runs the test of a project that loads the plugin. Returns the exit code and what pytest printed."""
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    (folder / "test_project.py").write_text(TEST)
    plugin = ("-p", "photolineage.contract.pytest_plugin", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-v", "-rs", *arguments, folder],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _metadata() -> MetaData:
    metadata = MetaData()
    Table("account", metadata, Column("id", Integer, primary_key=True), Column("email", Text, nullable=False))
    return metadata


def test_a_database_like_the_models_passes() -> None:
    engine = create_engine("sqlite://")
    _metadata().create_all(engine)
    assert_no_drift(engine, _metadata())
    assert_no_drift(engine, [_metadata()])


def test_the_message_lists_every_difference_with_its_fix() -> None:
    engine = create_engine("sqlite://")
    _metadata().create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE account DROP COLUMN email"))
        connection.execute(text("CREATE TABLE attic (x)"))
    with engine.connect() as connection, pytest.raises(AssertionError) as raised:
        assert_no_drift(connection, _metadata())
    message = str(raised.value)
    assert message.startswith("2 differences (1 error) between the code and the database.\n")
    assert "error: missing column  account.email  TEXT NOT NULL → –\n    " in message
    assert "    DROP TABLE attic;\n" in message
    with pytest.raises(AssertionError, match=r"^1 difference \(1 error\)"):
        assert_no_drift(engine, _metadata(), exclude="attic")


def test_the_migrations_run_on_sqlite_and_on_postgresql(tmp_path: Path, postgresql_server: URL) -> None:
    write_project(tmp_path, models="shop")
    server = postgresql_server.render_as_string(hide_password=False)
    settings = "drift_databases =\n    sqlite://\n    $SHOP_POSTGRESQL\n"
    code, printed = run_pytest(tmp_path, settings, SHOP_POSTGRESQL=server)
    assert code == 0, printed
    assert "[sqlite] PASSED" in printed
    assert "[postgresql] PASSED" in printed
    assert _left_over(postgresql_server) == []


def test_migrations_that_make_something_else_fail_with_the_table(
    tmp_path: Path, postgresql_server: URL
) -> None:
    write_project(tmp_path, models="shop", email=NOT_UNIQUE)
    server = postgresql_server.render_as_string(hide_password=False)
    code, printed = run_pytest(tmp_path, "", "--drift-database", server)
    assert code == 1
    assert "2 failed" in printed
    assert printed.count("unique missing") >= 2
    assert "ADD" in printed
    assert _left_over(postgresql_server) == []


def test_without_the_variable_the_test_is_skipped_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    write_project(tmp_path / "backend", models="shop")
    settings = (
        "drift_alembic_ini = backend/alembic.ini\ndrift_databases =\n    sqlite://\n    $SHOP_POSTGRESQL\n"
    )
    code, printed = run_pytest(tmp_path, settings)
    assert code == 0, printed
    assert "[sqlite] PASSED" in printed
    assert "1 skipped" in printed
    assert "the environment variable SHOP_POSTGRESQL names no database" in printed


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://user:s3cret@host/d", "mysql://user:s3cret@host/d", "user:s3cret@host"]
)
def test_a_url_that_cannot_serve_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    write_project(tmp_path, models="shop")
    code, printed = run_pytest(tmp_path, "", SHOP=url)
    assert code == 0, printed
    code, printed = run_pytest(tmp_path, "drift_databases = $SHOP", SHOP=url)
    assert code != 0
    assert "drift_databases: " in printed
    assert "s3cret" not in printed


def _left_over(server: URL) -> list[str]:
    engine = create_engine(server)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT datname FROM pg_database WHERE datname LIKE 'drift%'"))
        left_over = [name for (name,) in found]
    engine.dispose()
    return left_over
