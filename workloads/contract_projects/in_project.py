"""Runs inside a project's own environment: migrates its databases, compares, and judges what was found.

    python -m workloads.contract_projects.in_project PROJECT LIVE_URL MODEL_URL RESULT_FILE

It imports only SQLAlchemy, Alembic, the contract and the project. Both databases must be empty.
"""

import json
import logging
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, MetaData, create_engine, make_url

from photolineage.contract import Drift, compare
from workloads.contract_projects.judging import Claim, claim, claims_of_alembic, covered, is_true
from workloads.contract_projects.migrating import created, loaded, migrate
from workloads.contract_projects.planting import Plant, plants
from workloads.contract_projects.projects import PROJECTS, Project
from workloads.contract_projects.readings import Reading, differences, read
from workloads.contract_projects.results import Result

_TIMES = 3


class _Databases:
    """The migrated database, copies of it to change, and a database that the models made."""

    def __init__(self, live: URL, model: URL) -> None:
        self.live = create_engine(live)
        self.model = create_engine(model)
        self.dialect = self.live.dialect.name
        self._number = 0

    @contextmanager
    def copy(self) -> Iterator[Connection]:
        """A connection to a copy of the migrated database. On PostgreSQL, it is rolled back."""
        if self.dialect == "postgresql":
            with self.live.connect() as connection:
                yield connection
                connection.rollback()
            return
        self._number += 1
        file = f"{self.live.url.database}.{self._number}"
        shutil.copy(str(self.live.url.database), file)
        engine = create_engine(f"sqlite:///{file}", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection
        engine.dispose()
        Path(file).unlink()


def tried(project: Project, live: URL, model: URL) -> Result:
    """Everything that the table shows about one project and one kind of database."""
    databases = _Databases(live, model)
    result = Result(project.name, project.package, databases.dialect)
    began = time.perf_counter()
    migrate(project, databases.live)
    result.migrating_seconds = round(time.perf_counter() - began, 1)
    models, _ = loaded(project)
    result.tables = sum(len(metadata.tables) for metadata in models)
    refused = created(models, databases.model)
    with databases.live.connect() as connection:
        actual = read(connection)
    with databases.model.connect() as connection:
        expected = read(connection)
    _compare(result, models, databases, expected, actual, refused)
    if not result.crash:
        _fix(result, models, databases, expected)
        _plant(result, models, databases, actual)
    return result


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    seconds = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - began)
    return found, round(min(seconds), 2)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error} at {traceback.extract_tb(error.__traceback__)[-1]}"[:600]


def _compare(
    result: Result,
    models: list[MetaData],
    databases: _Databases,
    expected: Reading,
    actual: Reading,
    refused: list[str],
) -> None:
    real = {
        part: text for part, text in differences(expected, actual).items() if not _is_version_table(part[0])
    }
    drifts: list[Drift] = []
    theirs: list[Claim] = []
    with databases.live.connect() as connection:
        try:
            drifts, result.seconds = _timed(lambda: compare(models, connection))
        except Exception as error:  # noqa: BLE001 - a crash is a result
            result.crash = _reason(error)
    with databases.live.connect() as connection:
        try:
            theirs, result.alembic_seconds = _timed(lambda: claims_of_alembic(models, connection))
        except Exception as error:  # noqa: BLE001 - a crash is a result
            result.alembic_crash = _reason(error)
    judged = {drift: is_true(drift, real, expected, actual, refused) for drift in drifts}
    result.true = sum(judged.values())
    result.false = [drift.identity for drift, right in judged.items() if not right]
    ours = [claim(drift) for drift in drifts]
    result.missed = [f"{part}: {text}" for part, text in real.items() if not covered(ours, part)]
    result.found = [drift.identity for drift in drifts]
    result.differences = len(real)
    result.alembic_found = sum(covered(theirs, part) for part in real)
    settled = {table for table, kind, _ in real if kind == "table"} | set(
        filter(_is_version_table, actual.tables)
    )
    result.alembic_false = [
        said.text
        for said in theirs
        if said.table not in settled and not any(said.covers(part) for part in real)
    ]


def _is_version_table(name: str) -> bool:
    return "alembic_version" in name


def _fix(result: Result, models: list[MetaData], databases: _Databases, expected: Reading) -> None:
    """Applies all fixes in their order to a copy."""
    with databases.copy() as connection:
        drifts = compare(models, connection)
        for drift in drifts:
            for statement in drift.fix.destructive or drift.fix.safe:
                savepoint = connection.begin_nested() if databases.dialect == "postgresql" else None
                try:
                    connection.exec_driver_sql(statement)
                except Exception as error:  # noqa: BLE001 - then the drift stays, which the comparison shows
                    if savepoint is not None:
                        savepoint.rollback()
                    result.refused.append(f"{drift.identity}: {error}"[:600])
                    break
        fixable = {drift.identity for drift in drifts if drift.fix.safe or drift.fix.destructive}
        left = compare(models, connection)
        result.unfixed = [drift.identity for drift in left if drift.identity in fixable]
        result.new_after_fixes = [
            d.identity for d in left if d.identity not in {drift.identity for drift in drifts}
        ]
        after = differences(expected, read(connection))
        left_claims = [claim(drift) for drift in left]
        result.differences_after_fixes = [
            f"{part}: {text}"
            for part, text in after.items()
            if not _is_version_table(part[0]) and not covered(left_claims, part)
        ]


def _plant(result: Result, models: list[MetaData], databases: _Databases, actual: Reading) -> None:
    with databases.live.connect() as connection:
        drifts = compare(models, connection)
        usual = {drift.identity for drift in drifts}
        try:
            usual_of_alembic = {said.text for said in claims_of_alembic(models, connection)}
        except Exception:  # noqa: BLE001 - Alembic's crash is in the result already
            usual_of_alembic = None
        scripts = _scripts(connection)
    own = {table for metadata in models for table in metadata.tables}
    known = Reading({name: table for name, table in actual.tables.items() if name in own}, {})
    planted: set[str] = set()
    for plant in plants(known, databases.dialect, scripts, result.project):
        if plant.kind in planted or covered([*map(claim, drifts)], plant.part):
            continue
        with databases.copy() as connection:
            if not _takes(connection, plant, actual):
                continue
            planted.add(plant.kind)
            result.planted += 1
            try:
                new = [claim(drift) for drift in compare(models, connection) if drift.identity not in usual]
            except Exception as error:  # noqa: BLE001 - a crash is a result
                result.crash = f"{plant}: {_reason(error)}"
                continue
            if covered(new, plant.part):
                result.planted_found += 1
            else:
                result.planted_missed.append(f"{plant.kind}: {plant.statements[:2]}")
            if usual_of_alembic is not None:
                result.planted_found_by_alembic += _alembic_finds(models, connection, usual_of_alembic)


def _alembic_finds(models: list[MetaData], connection: Connection, usual: set[str]) -> bool:
    try:
        return {said.text for said in claims_of_alembic(models, connection)} != usual
    except Exception:  # noqa: BLE001 - a crash finds nothing
        return False


def _scripts(connection: Connection) -> dict[str, list[str]]:
    if connection.dialect.name != "sqlite":
        return {}
    query = "SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type <> 'table'"
    found: dict[str, list[str]] = {}
    for table, sql in connection.exec_driver_sql(query):
        found.setdefault(table, []).append(sql)
    return found


def _takes(connection: Connection, plant: Plant, before: Reading) -> bool:
    """Plants the drift. Whether the database accepts it and the part differs afterwards."""
    try:
        for statement in plant.statements:
            connection.exec_driver_sql(statement)
        changed = differences(before, read(connection))
    except Exception:  # noqa: BLE001 - the next candidate is tried
        return False
    table, kind, name = plant.part
    return any(part[:2] == (table, kind) and name in (part[2], *part[2].split(", ")) for part in changed)


def main() -> None:
    """Write the result as JSON."""
    name, live, model, file = sys.argv[1:]
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    project = next(project for project in PROJECTS if project.name == name)
    result = tried(project, make_url(live), make_url(model))
    Path(file).write_text(json.dumps(vars(result)), encoding="utf-8")


if __name__ == "__main__":
    main()
