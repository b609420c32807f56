"""A process that has imported the packages of every run, and waits for the run that it becomes.

The run launcher starts this file, and writes one line into its standard input: the arguments of Dagster's command line
as JSON. If the launcher ends first, the process ends too. It imports nothing of this project, so each run has the code
as it is when the run begins.
"""

import json
import os
import runpy
import sys
from importlib import import_module

PACKAGES = (
    "alembic.migration",
    "alembic.operations",
    "alembic.script",
    "dagster",
    "pathspec",
    "pydantic_settings",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "stamina",
)


def main() -> None:
    """Import the packages, wait for the arguments, and go on as `python -m dagster` with these arguments."""
    for package in PACKAGES:
        import_module(package)
    line = sys.stdin.readline()
    if not line:
        return
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["dagster", *json.loads(line)]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
