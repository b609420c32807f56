"""The second wheel, installed with SQLAlchemy and Alembic alone: the examples of its readme run."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.contract.alembic_projects import write_project
from workloads import REPOSITORY_ROOT

PACKAGE = REPOSITORY_ROOT / "packages" / "orm-drift"
LOWEST = ("sqlalchemy==2.0.0", "alembic==1.14.0")
NEEDED = {"alembic", "greenlet", "mako", "markupsafe", "orm-drift", "sqlalchemy", "typing-extensions"}
FILE = re.compile(r"^```\w+\n# ([\w.]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(orm-drift .*?)^```$", re.MULTILINE | re.DOTALL)
DATABASE = "CREATE TABLE account (id INTEGER NOT NULL PRIMARY KEY{columns}, UNIQUE (email))"


class Installed:
    """An environment with the wheel, and a folder with the files of the readme and a database."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self.python = environment / "bin" / "python"
        self.folder = folder
        self._variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PYTEST", "DAGSTER", "DATABASE_URL"))
        } | {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}

    def __call__(self, *command: str | Path, code: int = 0, **variables: str) -> str:
        """Runs the command, which must end with this exit code. Returns what it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._variables | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def create_database(self, columns: str) -> None:
        """Makes app.db with these columns in the table of accounts."""
        (self.folder / "app.db").unlink(missing_ok=True)
        statement = DATABASE.format(columns=columns)
        self(self.python, "-c", f"import sqlite3; sqlite3.connect('app.db').execute('{statement}')")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, PACKAGE], check=True)
    (built,) = folder.glob("*.whl")
    return built


def _install(folder: Path, wheel: Path, arguments: Sequence[str]) -> Installed:
    venv.create(folder / "environment", with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "environment" / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", *arguments, wheel], check=True)
    project = folder / "project"
    project.mkdir()
    write_project(project, models="models")
    for name, text in FILE.findall((PACKAGE / "README.md").read_text()):
        (project / name).write_text(text)
    return Installed(folder / "environment", project)


@pytest.fixture(scope="module", params=[LOWEST, ()], ids=["lowest", "newest"])
def alone(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with what it needs, and nothing else."""
    return _install(tmp_path_factory.mktemp("alone"), wheel, request.param)


@pytest.fixture(scope="module")
def with_extras(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, and behind it pytest and Dagster, from the packages of this environment."""
    installed = _install(tmp_path_factory.mktemp("extras"), wheel, ["--no-deps", "--ignore-installed"])
    (site_packages,) = installed.python.parent.parent.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return installed


def test_the_wheel_carries_every_file_of_the_comparison_under_its_own_name(wheel: Path) -> None:
    source = REPOSITORY_ROOT / "src" / "photolineage" / "contract"
    with zipfile.ZipFile(wheel) as archive:
        carried = {name.removeprefix("orm_drift/") for name in archive.namelist() if "dist-info" not in name}
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")]
    assert carried == {"py.typed", "LICENSE"} | {
        path.relative_to(source).as_posix() for path in source.rglob("*.py")
    }
    assert not [text for text in texts if re.search(r"^\s*(from|import) photolineage", text, re.MULTILINE)]


def test_it_needs_sqlalchemy_and_alembic_and_nothing_else(alone: Installed) -> None:
    listed = alone(
        alone.python,
        "-c",
        "from importlib.metadata import distributions as d; print(*{one.name.lower() for one in d()})",
    )
    assert {name.replace("_", "-") for name in listed.split()} <= NEEDED
    assert alone(alone.python, "-c", "import orm_drift; print(orm_drift.__version__)").strip() == "0.1.0"
    assert "orm-drift 0.1.0" in alone("orm-drift", "--version")


def test_the_example_in_python_prints_the_difference(alone: Installed) -> None:
    alone.create_database(", email VARCHAR")
    assert alone(alone.python, "compare_databases.py").startswith("warning nullable account email\n")
    alone.create_database(", email VARCHAR NOT NULL")
    assert alone(alone.python, "compare_databases.py") == ""


def test_the_examples_on_the_command_line_run(alone: Installed) -> None:
    alone.create_database(", email VARCHAR, age INTEGER")
    (commands,) = SHELL.findall((PACKAGE / "README.md").read_text())
    for command in commands.splitlines():
        alone("sh", "-c", command)
    assert (alone.folder / "fix.sql").read_text().startswith(".bail on\n")
    assert (alone.folder / "accepted.json").read_text().count("account.") == 2
    alone("orm-drift", "models:Base", "sqlite:///app.db", "--fail-on", "warning", code=1)
    alone("orm-drift", "models:Base", "sqlite:///gone.db", code=3)


def test_the_examples_are_typed(alone: Installed) -> None:
    """Also for mypy of another environment: the wheel has a py.typed."""
    command: list[str | Path] = [
        "--strict",
        "--no-incremental",
        "--python-executable",
        alone.python,
        "compare_databases.py",
    ]
    assert "Success" in alone(sys.executable, "-m", "mypy", *command)


def test_the_example_of_pytest_runs(with_extras: Installed, postgresql_server: URL) -> None:
    command: list[str | Path] = [
        with_extras.python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_schema.py",
    ]
    with_extras.create_database(", email VARCHAR NOT NULL")
    assert "2 passed, 1 skipped" in with_extras(*command)
    with_extras.create_database(", email VARCHAR")
    printed = with_extras(
        *command, code=1, POSTGRESQL_URL=postgresql_server.render_as_string(hide_password=False)
    )
    assert "1 difference (0 errors) between the code and the database." in printed
    assert "1 failed, 2 passed" in printed


def test_the_example_of_dagster_runs(with_extras: Installed) -> None:
    checks = (
        "import dagster as dg; from definitions import defs;"
        " job = defs.get_implicit_global_asset_job_def();"
        " found = job.execute_in_process().get_asset_check_evaluations();"
        " print(*sorted(f'{one.check_name}={one.passed}' for one in found))"
    )
    with_extras.create_database(", email VARCHAR NOT NULL")
    assert "other_objects=True table_account=True" in with_extras(with_extras.python, "-c", checks)
    with_extras.create_database(", email VARCHAR")
    assert "other_objects=True table_account=False" in with_extras(with_extras.python, "-c", checks)
