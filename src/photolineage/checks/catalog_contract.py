"""The contract as a writer asks for it: does the database hold what the ORM says about these tables?"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from photolineage.catalog.migrate import CatalogRevision, UnmigratedCatalogError, catalog_revision
from photolineage.catalog.orm import Base
from photolineage.contract import ContractError, compare
from photolineage.contract.drift import Drift, Severity
from photolineage.errors import PhotolineageError

MIGRATE = "Run `photolineage migrate`, or the job `migrate_catalog` in the Dagster UI."


class ContractUnverifiableError(PhotolineageError):
    """The catalog's schema cannot be compared with the code; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ContractReport:
    """What the contract says about some tables. `holds` unless a drift is an error.

    `revisions_to_come`: the migrations that are not applied yet, each with its title.
    """

    drifts: tuple[Drift, ...]
    revision_found: str | None
    revision_wanted: str
    summary: str
    revisions_to_come: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether an ordinary insert, select or upsert of the model works as it should."""
        return self.revision_found == self.revision_wanted and not any(
            drift.severity is Severity.ERROR for drift in self.drifts
        )


def contract_report(engine: Engine, tables: frozenset[str] | None = None) -> ContractReport:
    """The contract of some tables, or of all."""
    with engine.connect() as connection:
        return report_of(connection, tables)


def report_of(connection: Connection, tables: frozenset[str] | None = None) -> ContractReport:
    """The contract of some tables, or of all, over an open connection.

    A catalog that cannot be read is a report that does not hold.
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
    drifts = tuple(drift for drift in found if tables is None or not drift.table or drift.table in tables)
    errors = sum(drift.severity is Severity.ERROR for drift in drifts)
    if not drifts:
        summary = f"The database is as the ORM says (revision {revision.wanted})."
    else:
        where = ", ".join(sorted({drift.table or drift.name for drift in drifts}))
        summary = f"{len(drifts)} differences ({errors} errors) between the ORM and the database in {where}."
    return ContractReport(drifts, revision.found, revision.wanted, summary)


def _unmigrated(revision: CatalogRevision) -> ContractReport:
    steps = tuple(f"{step.id} ({step.title})" for step in revision.pending)
    remedy = MIGRATE if revision.found else f"For a new catalog, materialize catalog_schema first. {MIGRATE}"
    summary = f"The catalog is at revision {revision.found or 'none'}, and this code needs {revision.wanted}. {remedy}"
    return ContractReport((), revision.found, revision.wanted, summary, steps)
