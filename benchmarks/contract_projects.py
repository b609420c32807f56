"""Compares real projects' models with the databases that their own migrations make, beside Alembic.

Each project is installed into an environment of its own, which is deleted afterwards. All its migrations run, from the
first to the last, in a SQLite file and in a PostgreSQL database. Then the contract and Alembic compare the project's
models with these databases.

Other queries than the contract's read both the migrated database and one that the models made. A reported difference
is true if these readings differ in the object that it names, and false otherwise. Where they differ and no report
says so, a tool has missed it. Then all fixes are applied to a copy of the database, in their order, and it is read
again. At last one drift of each kind is planted into copies, in a table chosen by chance.

    python -m benchmarks.contract_projects [PROJECT ...] [--results FOLDER] [--json]

Installing needs pip and about 1 GB. `--results` keeps one file for each project and database: a project that has its
file there is not tried again, and the table shows all of them.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg import sql
from rich.console import Console
from rich.table import Table
from sqlalchemy import URL

import photolineage.contract
import workloads
from benchmarks.contract import IN_MEMORY
from benchmarks.postgresql_server import postgresql_server
from workloads.contract_projects.projects import PROJECTS, Project
from workloads.contract_projects.results import Result

_ALSO = ("sqlalchemy>=2.0", "alembic>=1.14", "psycopg2-binary")
_SECONDS = 1800


@contextmanager
def environment(requires: Iterable[str]) -> Iterator[Path]:
    """The Python of a new environment with the packages. The environment is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="contract-project-") as folder:
        _run([sys.executable, "-m", "venv", "--without-pip", folder])
        python = Path(folder) / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
        _run([*pip, *requires, *_ALSO])
        yield python


def _run(command: list[str], **environment: str) -> None:
    """Runs a command. Raises RuntimeError with the end of what it printed if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, env=environment or None, check=False
    )
    if done.returncode:
        raise RuntimeError("\n".join([" ".join(command), *(done.stdout + done.stderr).splitlines()[-12:]]))


@contextmanager
def importable() -> Iterator[Path]:
    """A folder with the contract and the workloads, and nothing else that the environment could import from here."""
    with tempfile.TemporaryDirectory(prefix="contract-project-path-") as folder:
        path = Path(folder)
        (path / "photolineage").mkdir()
        (path / "photolineage" / "contract").symlink_to(Path(photolineage.contract.__file__).parent)
        (path / "workloads").symlink_to(Path(workloads.__file__).parent)
        yield path


@contextmanager
def databases(kind: str, server: URL) -> Iterator[tuple[URL, URL]]:
    """Two empty databases."""
    names = ("live", "model")
    with ExitStack() as stack:
        if kind == "sqlite":
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="contract-project-", dir=IN_MEMORY)
            )
            urls = [URL.create("sqlite", database=f"{folder}/{name}.db") for name in names]
        else:
            plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
            connection = stack.enter_context(psycopg.connect(plain, autocommit=True))
            for name in names:
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
                connection.execute(drop)
                stack.callback(connection.execute, drop)
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            urls = [server.set(drivername="postgresql+psycopg2", database=name) for name in names]
        yield urls[0], urls[1]


def tried(project: Project, kind: str, python: Path, server: URL) -> Result:
    """One project and one kind of database. Whatever stops the trial is in the result."""
    with (
        importable() as path,
        databases(kind, server) as (live, model),
        tempfile.TemporaryDirectory() as home,
    ):
        result = Path(home) / "result.json"
        urls = (url.render_as_string(hide_password=False) for url in (live, model))
        module = "workloads.contract_projects.in_project"
        command = [str(python), "-W", "ignore", "-m", module, project.name, *urls, str(result)]
        try:
            _run(command, PYTHONPATH=str(path), HOME=home, PATH="/usr/bin:/bin", **project.environment)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            return Result(project.name, project.package, kind, stopped=str(error))
        return Result(**json.loads(result.read_text(encoding="utf-8")))


def _all(projects: Iterable[Project], results: Path) -> Iterator[Result]:
    """The results of all projects. Projects of the same packages share an environment."""
    with postgresql_server() as server:
        for requires, several in groupby(projects, key=lambda project: project.requires):
            missing = [
                (project, kind, file)
                for project in several
                for kind in project.databases
                if not (file := results / f"{project.name} {kind}.json").exists()
            ]
            if not missing:
                continue
            with environment(requires) as python:
                for project, kind, file in missing:
                    print(f"{project.name} on {kind}", file=sys.stderr)
                    result = tried(project, kind, python, server)
                    file.write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")
    for file in sorted(results.glob("*.json")):
        yield Result(**json.loads(file.read_text(encoding="utf-8")))


def _rows(results: list[Result]) -> Table:
    ours = ("true", "false", "missed", "crash", "seconds")
    alembic = ("Alembic: missed", "false", "crash", "seconds")
    table = Table(
        "package", "database", "tables", *ours, *alembic, "planted", "found", "by Alembic", "left by fixes"
    )
    for result in results:
        if result.stopped:
            table.add_row(result.package, result.database, result.stopped.splitlines()[-1])
            continue
        figures: tuple[object, ...] = (
            result.tables,
            result.true,
            len(result.false),
            len(result.missed),
            "yes" if result.crash else "no",
            result.seconds,
            result.differences - result.alembic_found if not result.alembic_crash else "–",
            len(result.alembic_false),
            "yes" if result.alembic_crash else "no",
            result.alembic_seconds,
            result.planted,
            result.planted_found,
            result.planted_found_by_alembic,
            len(result.unfixed) + len(result.differences_after_fixes),
        )
        table.add_row(result.package, result.database, *map(str, figures))
    return table


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="PROJECT", help="Default: all.")] = None,
    results: Annotated[Path | None, typer.Option(help="Keep the results in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything that was found as JSON.")] = False,
) -> None:
    """Try projects. Exits with 1 if the contract crashes, misses a difference or reports a false one."""
    chosen = [project for project in PROJECTS if not names or project.name in names]
    folder = results or Path(tempfile.mkdtemp(prefix="contract-project-results-"))
    folder.mkdir(parents=True, exist_ok=True)
    found = list(_all(chosen, folder))
    if results is None:
        shutil.rmtree(folder)
    if as_json:
        print(json.dumps(list(map(asdict, found)), indent=2))
    else:
        Console(width=200).print(_rows(found))
    if any(result.stopped or result.crash or result.false or result.missed for result in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
