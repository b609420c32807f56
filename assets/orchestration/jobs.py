"""The jobs that materialize the assets, and the jobs that only run checks."""

from dagster import AssetChecksDefinition, AssetSelection, define_asset_job

from photolineage.lineage import CATALOG_SCHEMA, STEPS, Step
from resources.dagster_internals import UnresolvedAssetJobDefinition


def lineage_jobs() -> dict[Step, UnresolvedAssetJobDefinition]:
    """One job for each step."""
    return {
        step: define_asset_job(
            step.job_name,
            selection=[step.name],
            description=f"Materializes `{step.name}` and runs its checks, like the Materialize button of the asset. "
            "**Needs** and **Next:** see the asset.",
        )
        for step in STEPS
    }


def check_contract_job() -> UnresolvedAssetJobDefinition:
    """The job that compares every table of the catalog with the code."""
    return define_asset_job(
        "check_contract",
        selection=AssetSelection.checks_for_assets(CATALOG_SCHEMA.name),
        description="Compares every table of the catalog with the code; changes nothing. **Needs** "
        "`catalog_schema`. **Next:** open each failed check. Its table shows the differences, and its text names the "
        "job that fixes them.",
    )


def check_freshness_job(checks: AssetChecksDefinition) -> UnresolvedAssetJobDefinition:
    """The job that looks for stale partitions of every asset."""
    return define_asset_job(
        "check_freshness",
        selection=AssetSelection.checks(checks),
        description="Looks for stale partitions of every asset: those whose inputs (files, images, embeddings) have "
        "changed since they were materialized; changes nothing. **Needs** `catalog_schema`. **Next:** materialize "
        "the partitions that the `up_to_date` checks list.",
    )
