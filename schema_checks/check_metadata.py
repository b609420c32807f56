"""What a check shows of drifts: a table that the Dagster UI draws in place."""

from collections.abc import Iterable
from typing import Any

from dagster import MetadataValue, TableColumn, TableMetadataValue, TableRecord, TableSchema

from photolineage.checks.catalog_contract import ContractReport
from photolineage.contract.drift import Drift
from photolineage.contract.table import COLUMNS, difference_rows

_SCHEMA = TableSchema(columns=[TableColumn(column, "string") for column in COLUMNS])


def difference_table(drifts: Iterable[Drift]) -> TableMetadataValue:
    """One row a drift: what differs, where, both sides, and what mends it."""
    return MetadataValue.table([TableRecord(row) for row in difference_rows(drifts)], schema=_SCHEMA)


def contract_metadata(report: ContractReport) -> dict[str, MetadataValue[Any]]:
    """A report of the contract as the metadata of a check."""
    metadata: dict[str, MetadataValue[Any]] = {
        "differences": difference_table(report.drifts),
        "drifts": MetadataValue.int(len(report.drifts)),
        "revision_found": MetadataValue.text(report.revision_found or "none"),
        "revision_wanted": MetadataValue.text(report.revision_wanted),
    }
    if report.revisions_to_come:
        metadata["revisions_to_come"] = MetadataValue.text(", ".join(report.revisions_to_come))
    return metadata
