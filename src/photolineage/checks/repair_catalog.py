"""Repairing the catalog's schema: which differences can be fixed, and the fixes in one transaction."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from photolineage.catalog.engine import REFUSALS, advisory_lock, explained_errors, reading
from photolineage.catalog.migrate import MIGRATION_LOCK, schema_transaction
from photolineage.checks.catalog_contract import ContractReport, report_of
from photolineage.contract.drift import Drift, DriftKind
from photolineage.contract.table import difference_rows
from photolineage.errors import PhotolineageError


class RepairRefusedError(PhotolineageError):
    """The library cannot be repaired now; the message says what to do first. Nothing was changed."""


class Outcome(StrEnum):
    """What became of a repair, or what will."""

    PLANNED = "will be applied"
    DONE = "done"
    LOSES_DATA = "only with allow_data_loss"
    BY_HAND = "by hand"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing to repair: what is wrong, where, how it is repaired, and what became of it."""

    what: str
    where: str
    how: str
    outcome: Outcome


DriftKey = tuple[DriftKind, str, str]


def checked_report(connection: Connection) -> ContractReport:
    """The contract of the whole catalog. Raises RepairRefusedError if migrations are pending."""
    report = report_of(connection)
    if report.revision_found != report.revision_wanted:
        raise RepairRefusedError(report.summary)
    return report


def plan_fixes(drifts: Iterable[Drift], *, allow_data_loss: bool) -> list[Repair]:
    """One repair for each difference."""
    return [_repair(drift, _planned(drift, allow_data_loss)) for drift in drifts]


def apply_fixes(engine: Engine, *, allow_data_loss: bool) -> list[Repair]:
    """Fix the differences one after the other in one transaction, and say what became of each.

    The schema is compared again after each fix, because one fix may remove several differences. Statements that lose
    data run last, and only if they are allowed. A fix that the database refuses changes nothing, and the others go on.
    Raises RepairRefusedError if migrations are pending, and CatalogUnreachableError.
    """
    with explained_errors(engine, REFUSALS), schema_transaction(engine) as connection:
        advisory_lock(connection, MIGRATION_LOCK)
        before = {_key(drift): drift for drift in checked_report(connection).drifts}
        work = _Fixing(connection)
        work.run(destructive=False)
        if allow_data_loss:
            work.run(destructive=True)
    engine.dispose()  # a fix of a setting takes effect in new connections
    with reading(engine) as connection:
        left = {_key(drift): drift for drift in checked_report(connection).drifts}
    return [
        work.result(key, drift, left, allow_data_loss=allow_data_loss)
        for key, drift in (before | left).items()
    ]


@dataclass
class _Fixing:
    connection: Connection
    refused: dict[DriftKey, str] = field(default_factory=dict)

    def run(self, *, destructive: bool) -> None:
        tried: set[DriftKey] = set()
        while (found := self._next(tried, destructive=destructive)) is not None:
            key, statements = found
            tried.add(key)
            try:
                with _one_fix(self.connection):
                    for statement in statements:
                        # Without parameters, so that the driver leaves a % as it is.
                        self.connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            except DBAPIError as error:
                self.refused[key] = str(error.orig).strip().splitlines()[0]

    def _next(self, tried: set[DriftKey], *, destructive: bool) -> tuple[DriftKey, tuple[str, ...]] | None:
        for drift in checked_report(self.connection).drifts:
            statements = drift.fix.destructive if destructive else drift.fix.safe
            if statements and _key(drift) not in tried:
                return _key(drift), _inside_a_transaction(self.connection, statements)
        return None

    def result(
        self, key: DriftKey, drift: Drift, left: Mapping[DriftKey, Drift], *, allow_data_loss: bool
    ) -> Repair:
        if key not in left:
            return _repair(drift, Outcome.DONE)
        repair = _repair(left[key], _planned(left[key], allow_data_loss))
        if key in self.refused:
            why = f"{self.refused[key]}. {left[key].fix.note}".strip()
            return replace(repair, outcome=Outcome.REFUSED, how=why)
        if repair.outcome is Outcome.PLANNED:  # its fix ran, and the difference is still there
            return replace(repair, outcome=Outcome.BY_HAND)
        return repair


def _planned(drift: Drift, allow_data_loss: bool) -> Outcome:
    if drift.fix.safe or (drift.fix.destructive and allow_data_loss):
        return Outcome.PLANNED
    return Outcome.LOSES_DATA if drift.fix.destructive else Outcome.BY_HAND


def _repair(drift: Drift, outcome: Outcome) -> Repair:
    (row,) = difference_rows([drift])
    return Repair(row["what"], row["where"], row["fix"], outcome)


def _key(drift: Drift) -> DriftKey:
    return drift.kind, drift.table, drift.name


def _inside_a_transaction(connection: Connection, statements: tuple[str, ...]) -> tuple[str, ...]:
    """The statements without those that begin and end a transaction of their own.

    A rebuild of a SQLite table turns foreign keys off, which has no effect inside a transaction: `schema_transaction`
    has done that.
    """
    if connection.dialect.name != "sqlite":
        return statements
    own = ("BEGIN", "COMMIT", "PRAGMA foreign_keys")
    return tuple(statement for statement in statements if not statement.startswith(own))


@contextmanager
def _one_fix(connection: Connection) -> Iterator[None]:
    """Takes back all statements of a fix if one of them is refused."""
    try:
        with connection.begin_nested():
            yield
    finally:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA legacy_alter_table = OFF")
