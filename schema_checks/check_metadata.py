"""The metadata of a contract check: a table of the differences, which the Dagster UI shows on its page."""

from collections.abc import Iterable
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    MetadataValue,
    TableColumn,
    TableMetadataValue,
    TableRecord,
    TableSchema,
)

from photolineage.checks.catalog_contract import ContractReport
from photolineage.contract.drift import Drift
from photolineage.contract.table import COLUMNS, difference_rows

_SCHEMA = TableSchema(columns=[TableColumn(column, "string") for column in COLUMNS])


def difference_table(drifts: Iterable[Drift]) -> TableMetadataValue:
    """One row for each drift: what differs, where, both sides, and the fix."""
    return MetadataValue.table([TableRecord(row) for row in difference_rows(drifts)], schema=_SCHEMA)


def contract_result(report: ContractReport, asset: str, check: str) -> AssetCheckResult:
    """A contract report as the result of a check: it fails with differences, and blocks only with errors."""
    only_warnings = report.holds and bool(report.drifts)
    return AssetCheckResult(
        asset_key=asset,
        check_name=check,
        passed=report.holds and not report.drifts,
        severity=AssetCheckSeverity.WARN if only_warnings else AssetCheckSeverity.ERROR,
        description=report.summary,
        metadata=_contract_metadata(report),
    )


def _contract_metadata(report: ContractReport) -> dict[str, MetadataValue[Any]]:
    """A contract report as the metadata of a check."""
    metadata: dict[str, MetadataValue[Any]] = {
        "differences": difference_table(report.drifts),
        "drifts": MetadataValue.int(len(report.drifts)),
        "revision_found": MetadataValue.text(report.revision_found or "none"),
        "revision_expected": MetadataValue.text(report.revision_wanted),
    }
    if report.revisions_to_come:
        metadata["pending_revisions"] = MetadataValue.text(", ".join(report.revisions_to_come))
    return metadata
