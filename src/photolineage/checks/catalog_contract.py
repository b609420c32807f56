"""The contract of the catalog: do these tables in the database match the code?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine

from photolineage.catalog.migrate import (
    CatalogRevision,
    UnmigratedCatalogError,
    catalog_revision,
    why_unmigrated,
)
from photolineage.catalog.orm import Base
from photolineage.contract import ContractError, compare
from photolineage.contract.drift import Drift, Severity
from photolineage.contract.text_table import counted
from photolineage.errors import PhotolineageError

REPAIR = "Launch the job `repair`, or run `photolineage repair`"


class ContractUnverifiableError(PhotolineageError):
    """The catalog's schema cannot be compared with the code; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ContractReport:
    """The differences between some tables and the code.

    `revisions_to_come`: the pending migrations, each with its title.
    """

    drifts: tuple[Drift, ...]
    revision_found: str | None
    revision_wanted: str
    summary: str
    revisions_to_come: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether inserts, selects and upserts work: the revision is the expected one, and no drift is an error."""
        return self.revision_found == self.revision_wanted and not any(
            drift.severity is Severity.ERROR for drift in self.drifts
        )

    def of_table(self, table: str) -> "ContractReport":
        """The same report with only the differences of this table, and those that belong to no table.

        The whole schema is read to compare one table, so a report of all tables costs as much as a report of one.
        """
        if not self.drifts:
            return self
        drifts = _of_tables(self.drifts, frozenset({table}))
        return replace(self, drifts=drifts, summary=_summary(drifts, self.revision_wanted))


def contract_report(engine: Engine, tables: frozenset[str] | None = None) -> ContractReport:
    """The contract of some tables, or of all."""
    with engine.connect() as connection:
        return report_of(connection, tables)


def report_of(connection: Connection, tables: frozenset[str] | None = None) -> ContractReport:
    """The contract of some tables, or of all, over an open connection.

    For a catalog of another revision, the report does not hold. Raises ContractUnverifiableError.
    """
    try:
        revision = catalog_revision(connection)
    except UnmigratedCatalogError as error:
        return ContractReport((), "unknown", "", str(error))
    if not revision.is_current:
        return _unmigrated(revision)
    try:
        found = compare(Base.metadata, connection)
    except ContractError as error:
        raise ContractUnverifiableError(str(error)) from error
    drifts = _of_tables(found, tables)
    return ContractReport(drifts, revision.found, revision.wanted, _summary(drifts, revision.wanted))


def _of_tables(drifts: Sequence[Drift], tables: frozenset[str] | None) -> tuple[Drift, ...]:
    return tuple(drift for drift in drifts if tables is None or not drift.table or drift.table in tables)


def _summary(drifts: Sequence[Drift], revision: str) -> str:
    if not drifts:
        return f"The database matches the code (revision {revision})."
    errors = sum(drift.severity is Severity.ERROR for drift in drifts)
    where = ", ".join(sorted({drift.table or drift.name for drift in drifts}))
    counts = f"{counted(len(drifts), 'difference')} ({counted(errors, 'error')})"
    return f"{counts} between the code and the database, in {where}. {_remedy(drifts)}"


def _remedy(drifts: Sequence[Drift]) -> str:
    if any(drift.fix.safe for drift in drifts):
        return (
            f"{REPAIR}: it shows the fixes that lose no data, and applies them with `apply: true` (--apply)."
        )
    if any(drift.fix.destructive for drift in drifts):
        return (
            f"Every fix loses data. {REPAIR}: it applies them only with `apply: true` and `allow_data_loss: true` "
            "(--apply --allow-data-loss)."
        )
    return "There is no automatic fix: the table of differences shows what to change."


def _unmigrated(revision: CatalogRevision) -> ContractReport:
    steps = tuple(f"{step.id} ({step.title})" for step in revision.pending)
    summary = why_unmigrated("The catalog", revision)
    return ContractReport((), revision.found, revision.wanted, summary, steps)
