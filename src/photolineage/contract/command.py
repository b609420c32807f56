"""The command that compares a database with metadata, from any project."""

import argparse
import asyncio
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from .comparison import compare
from .drift import Drift, Severity
from .errors import ContractError, reason
from .passwords import redacted, shown
from .scripts import script
from .selection import CompareOptions, write_baseline
from .targets import load_target
from .text_table import difference_text, summary, without_control_characters

NO_DRIFT, WARNINGS, ERRORS, NOT_COMPARED = 0, 1, 2, 3

_EPILOG = f"""\
exit codes:
  {NO_DRIFT}  no difference that --fail-on asks for
  {WARNINGS}  warnings and no errors, with --fail-on warning
  {ERRORS}  errors
  {NOT_COMPARED}  not compared, for example because the database cannot be reached or an argument is wrong
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(NOT_COMPARED, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns its exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    given = options.url or os.environ.get(options.url_variable)
    try:
        return _run(options, given)
    except ContractError as error:
        print(without_control_characters(redacted(str(error), given)), file=sys.stderr)
        return NOT_COMPARED


def _parser() -> argparse.ArgumentParser:
    from . import __version__ as version

    parser = _Parser(
        prog=f"python -m {__package__}" if Path(sys.argv[0]).stem == "__main__" else None,
        description="Compare a database with the SQLAlchemy models of a project. Nothing in the database changes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {version}")
    add("target", help="module:attribute (a MetaData, a base class, or a list), or an alembic.ini or env.py")
    add("url", nargs="?", help="the database, as SQLAlchemy writes it: sqlite:///app.db")
    add(
        "--url-variable",
        default="DATABASE_URL",
        metavar="NAME",
        help="without URL, the environment variable that holds it (%(default)s). Other users of the machine can see a"
        " password in arguments, but not in variables. Without both, sqlalchemy.url of the alembic.ini is used",
    )
    add("--format", choices=("table", "json", "script"), default="table", help="default: %(default)s")
    for name, what in (
        ("include", "compare only these tables"),
        ("exclude", "leave out these tables"),
        ("ignore", "leave out differences with these identities, as in 'comment *'"),
        ("version-table", "a table in which a migration tool keeps its revision"),
    ):
        add(f"--{name}", action="append", metavar="PATTERN", help=f"{what}. Can be given several times")
    add("--notes", action="store_true", help="also report what SQLite does not enforce")
    baselines = parser.add_mutually_exclusive_group()
    baselines.add_argument("--baseline", metavar="FILE", help="leave out the differences that FILE accepts")
    baselines.add_argument(
        "--write-baseline", metavar="FILE", help="accept all differences: write them to FILE, and exit with 0"
    )
    add(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="error",
        help="the severity from which the exit code is not 0. Default: %(default)s",
    )
    return parser


def _run(options: argparse.Namespace, given: str | None) -> int:
    target = load_target(options.target, given)
    url = _database(given or target.url, options.url_variable)
    chosen = CompareOptions(
        include=options.include or "*",
        exclude=options.exclude or (),
        ignore=options.ignore or (),
        version_tables=[*(options.version_table or ()), *target.version_tables],
        baseline=options.baseline or (),
        notes=options.notes,
    )
    try:
        drifts = _compared(target.metadata, url, chosen)
    except ContractError as error:
        raise ContractError(redacted(str(error), url)) from None
    if options.write_baseline is not None:
        try:
            write_baseline(options.write_baseline, drifts)
        except OSError as error:
            raise ContractError(f"Cannot write the baseline {options.write_baseline!r}: {error}") from error
        print(f"{len(drifts)} accepted differences written to {options.write_baseline}.")
        return NO_DRIFT
    print(_rendered(drifts, url, options))
    return _exit_code(drifts, options.fail_on)


def _database(text: str | None, variable: str) -> URL:
    if not text:
        raise ContractError(
            f"No database is named. Give its URL after the target, or in the environment variable {variable}."
        )
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The error's own text may contain the password.
        raise ContractError(
            "The URL cannot be read. It looks like sqlite:///app.db or postgresql+psycopg://user:password@host/database."
            " In a password, write %40 for @, %2F for / and %25 for %."
        ) from None
    file = url.database or ""
    memory = file in ("", ":memory:") or file.startswith("file:")
    if url.get_backend_name() == "sqlite" and not memory and not Path(file).is_file():
        raise ContractError(f"There is no database file {file!r}. Run the migrations first.")
    return url


def _compared(metadata: Iterable[Any], url: URL, options: CompareOptions) -> list[Drift]:
    try:
        if url.get_dialect().is_async:
            return asyncio.run(_compared_async(metadata, url, options))
        return compare(metadata, create_engine(url, poolclass=NullPool), **options)
    except SQLAlchemyError as error:
        raise ContractError(f"Cannot connect to the database: {reason(error)}") from error
    except ImportError as error:
        raise ContractError(
            f"Cannot load the database driver of {url.drivername}://: {error}. Install it, or name another driver in"
            " the URL, for example postgresql+psycopg://."
        ) from error


async def _compared_async(metadata: Iterable[Any], url: URL, options: CompareOptions) -> list[Drift]:
    from sqlalchemy.ext.asyncio import create_async_engine

    async with create_async_engine(url, poolclass=NullPool).connect() as connection:
        return await connection.run_sync(lambda sync: compare(metadata, sync, **options))


def _rendered(drifts: Sequence[Drift], url: URL, options: argparse.Namespace) -> str:
    if options.format == "script":
        return script(drifts, url.get_backend_name()).rstrip("\n")
    if options.format == "table":
        return "\n".join([*([difference_text(drifts)] if drifts else []), summary(drifts)])
    differences = [
        {name: getattr(drift, name) for name in ("kind", "severity", "table", "name", "columns", "expected")}
        | {"actual": drift.actual, "identity": drift.identity, "fix": asdict(drift.fix)}
        for drift in drifts
    ]
    return json.dumps(
        {"target": options.target, "database": shown(url), "differences": differences}, indent=2
    )


def _exit_code(drifts: Iterable[Drift], fail_on: str) -> int:
    severities = {drift.severity for drift in drifts}
    if fail_on != "never" and Severity.ERROR in severities:
        return ERRORS
    return WARNINGS if fail_on == "warning" and Severity.WARNING in severities else NO_DRIFT
