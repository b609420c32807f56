"""The contract finds exactly the planted drifts, and their fixes work."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine

from photolineage.contract.comparison import compare
from photolineage.contract.drift import DriftKind
from workloads.contract_cases.case import Case
from workloads.contract_cases.field_drifts import POSTGRESQL_FIELD_DRIFTS, SQLITE_FIELD_DRIFTS
from workloads.contract_cases.fixing import apply_fixes
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

_ONLY_POSTGRESQL = {
    DriftKind.TYPE_ARGS,
    DriftKind.IDENTITY,
    DriftKind.COMMENT,
    DriftKind.ENUM_MISSING,
    DriftKind.ENUM_EXTRA,
    DriftKind.SEQUENCE,
}


@pytest.fixture
def sqlite() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql_engine(new_postgresql_database: Callable[[], URL]) -> Iterator[Engine]:
    engine = create_engine(new_postgresql_database())
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE EXTENSION vector")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(postgresql_engine: Engine) -> Iterator[Connection]:
    with postgresql_engine.connect() as connection:
        yield connection


def _by_name(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@_by_name((*SQLITE_DRIFTS, *SQLITE_FIELD_DRIFTS, *SQLITE_MODEL_DRIFTS))
def test_sqlite_drift_is_found_and_fixed(case: Case, sqlite: Connection) -> None:
    _verify(case, sqlite)


@_by_name((*SQLITE_CLEAN, *SQLITE_MODEL_CLEAN))
def test_clean_sqlite_database_has_no_drift(case: Case, sqlite: Connection) -> None:
    assert compare(case.build(sqlite), sqlite) == []


@_by_name((*POSTGRESQL_DRIFTS, *POSTGRESQL_FIELD_DRIFTS, *POSTGRESQL_MODEL_DRIFTS))
def test_postgresql_drift_is_found_and_fixed(case: Case, postgresql: Connection) -> None:
    _verify(case, postgresql)


@_by_name((*POSTGRESQL_CLEAN, *POSTGRESQL_MODEL_CLEAN))
def test_clean_postgresql_database_has_no_drift(case: Case, postgresql: Connection) -> None:
    assert compare(case.build(postgresql), postgresql) == []


def _verify(case: Case, connection: Connection) -> None:
    metadata = case.build(connection)
    drifts = compare(metadata, connection)
    assert len(drifts) > 0
    assert Counter((drift.kind, drift.table, drift.name) for drift in drifts) == Counter(case.found)
    if case.fixed:
        assert apply_fixes(metadata, connection) == []


def test_the_cases_cover_every_kind_of_drift() -> None:
    sqlite = {
        kind
        for case in (*SQLITE_DRIFTS, *SQLITE_FIELD_DRIFTS, *SQLITE_MODEL_DRIFTS)
        for kind, _, _ in case.found
    }
    postgresql = {
        kind
        for case in (*POSTGRESQL_DRIFTS, *POSTGRESQL_FIELD_DRIFTS, *POSTGRESQL_MODEL_DRIFTS)
        for kind, _, _ in case.found
    }
    assert postgresql == set(DriftKind)
    assert sqlite == postgresql - _ONLY_POSTGRESQL
