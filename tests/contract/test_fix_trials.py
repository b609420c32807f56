"""Fixes of random drifts lose and change no value unless they say so, whatever program runs them.

`python -m benchmarks.contract_fixes` tries more cases. A violation names the seed that repeats it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from workloads.contract_fixes.databases import PostgresqlDatabase, SqliteDatabase
from workloads.contract_fixes.trial import Outcome, try_case

_SQLITE_CASES = 230
_POSTGRESQL_CASES = 70


@pytest.fixture(scope="module")
def postgresql(new_postgresql_database: Callable[[], URL]) -> Iterator[PostgresqlDatabase]:
    url = new_postgresql_database().set(drivername="postgresql")
    database = PostgresqlDatabase(url.render_as_string(hide_password=False))
    yield database
    database.close()


def test_fixes_of_sqlite_keep_every_value(tmp_path: Path) -> None:
    database, outcome = SqliteDatabase(tmp_path), Outcome()
    for seed in range(_SQLITE_CASES):
        try_case(database, seed, outcome)
    assert outcome.violations == []
    assert outcome.applied > outcome.refused > 0


def test_fixes_of_postgresql_keep_every_value(postgresql: PostgresqlDatabase) -> None:
    outcome = Outcome()
    for seed in range(_POSTGRESQL_CASES):
        try_case(postgresql, seed, outcome, fixes=1)
    assert outcome.violations == []
    assert outcome.applied > outcome.refused > 0
