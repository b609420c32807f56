"""Tries the contract's fixes on random drifts of tables with hard values, run by four programs.

Two drivers and two shells run the statements; one of each goes on after errors. A violation is a fix that loses or
changes a value although it is marked safe, leaves its drift, breaks a view or a trigger, or fails in the report's
order on tables without rows. Nine of ten cases run on SQLite, because one on PostgreSQL takes longer.

    python -m benchmarks.contract_fixes [--cases 10000] [--json]
"""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.postgresql_server import postgresql_server
from workloads.contract_fixes.databases import PostgresqlDatabase, SqliteDatabase
from workloads.contract_fixes.trial import Outcome, try_case

_IN_MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
_POSTGRESQL_SHARE = 10


def tried(cases: int, first: int = 0) -> dict[str, Outcome]:
    """Tries cases of both databases. The seeds begin at `first`."""
    sqlite, postgresql = Outcome(), Outcome()
    of_postgresql = cases // _POSTGRESQL_SHARE
    with tempfile.TemporaryDirectory(prefix="contract-fixes-", dir=_IN_MEMORY) as folder:
        file = SqliteDatabase(Path(folder))
        for seed in range(first, first + cases - of_postgresql):
            try_case(file, seed, sqlite)
    with postgresql_server() as url:
        database = PostgresqlDatabase(url.set(drivername="postgresql").render_as_string(hide_password=False))
        for seed in range(first, first + of_postgresql):
            try_case(database, seed, postgresql, fixes=2)
        database.close()
    return {"sqlite": sqlite, "postgresql": postgresql}


def main(
    cases: Annotated[int, typer.Option(help="How many cases.")] = 10_000,
    first: Annotated[int, typer.Option(help="The first seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Try random cases on both databases."""
    outcomes = tried(cases, first)
    violations = [violation for outcome in outcomes.values() for violation in outcome.violations]
    if as_json:
        found = {name: asdict(outcome) for name, outcome in outcomes.items()}
        print(json.dumps({"cases": cases, "violations": len(violations), **found}, indent=2))
        return
    table = Table("database", "cases", "fixes applied", "refused by the rows", "violations")
    for name, outcome in outcomes.items():
        figures = (outcome.cases, outcome.applied, outcome.refused, len(outcome.violations))
        table.add_row(name, *map(str, figures))
    Console().print(table, *violations)


if __name__ == "__main__":
    typer.run(main)
