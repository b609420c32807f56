"""The jobs of the assets, and those that only check."""

from dagster import AssetChecksDefinition, AssetSelection, define_asset_job

from assets.orchestration.dagster_internals import UnresolvedAssetJobDefinition
from photolineage.lineage import CATALOG_SCHEMA, STEPS, Step


def lineage_jobs() -> dict[Step, UnresolvedAssetJobDefinition]:
    """One job for each step."""
    return {
        step: define_asset_job(
            step.job_name,
            selection=[step.name],
            description=f"Materializes `{step.name}` and runs its checks, as a launch from the asset's own page does. "
            "**Needs** and **next:** see the asset.",
        )
        for step in STEPS
    }


def check_contract_job() -> UnresolvedAssetJobDefinition:
    """The job that compares every table of the catalog with the code."""
    return define_asset_job(
        "check_contract",
        selection=AssetSelection.checks_for_assets(CATALOG_SCHEMA.name),
        description="Compares every table of the catalog with the code; changes nothing. **Needs** "
        "`catalog_schema`. **Next:** each failed check opens on a table that says what differs and what mends it.",
    )


def check_freshness_job(checks: AssetChecksDefinition) -> UnresolvedAssetJobDefinition:
    """The job that asks every asset whether it is stale."""
    return define_asset_job(
        "check_freshness",
        selection=AssetSelection.checks(checks),
        description="Asks every asset whether its partitions have seen the files, images and embeddings that there "
        "are now; changes nothing. **Needs** `catalog_schema`. **Next:** materialize what the checks `up_to_date` "
        "list.",
    )
