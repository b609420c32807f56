"""A report on the catalog's contract as the result of a check."""

from dagster import AssetCheckResult, MetadataValue

from photolineage.checks.catalog_contract import ContractReport
from photolineage.contract.dagster_checks import drift_result
from photolineage.plain_text import without_links


def contract_result(report: ContractReport, asset: str, check: str) -> AssetCheckResult:
    """A contract report as the result of a check: it fails with differences, and blocks only with errors."""
    metadata = {
        "revision_found": MetadataValue.text(report.revision_found or "none"),
        "revision_expected": MetadataValue.text(report.revision_wanted),
    }
    if report.revisions_to_come:
        metadata["pending_revisions"] = MetadataValue.text(", ".join(report.revisions_to_come))
    return drift_result(
        report.drifts,
        asset,
        check,
        broken=not report.holds,
        description=without_links(report.summary),
        metadata=metadata,
    )
