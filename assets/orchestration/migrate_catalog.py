"""The job `migrate_catalog`: it shows the SQL of the migrations, and applies them with `dry_run: false`."""

from typing import Any

from dagster import (
    Config,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    Output,
    ResourceParam,
    job,
    op,
)
from pydantic import Field

from assets.orchestration.launchpad import fields_of
from resources.failures import ExplainedError, reported
from resources.home import CatalogResource, StorageResource
from resources.own_server import require_own_server


class MigrateCatalogConfig(Config):
    """Whether to apply the migrations or only show them."""

    dry_run: bool = Field(default=True, description="Only show the SQL; change nothing.")
    i_have_a_backup: bool = Field(
        default=False,
        description="Set this to true to migrate a PostgreSQL catalog. SQLite is backed up automatically.",
    )


def migrate_catalog_job() -> JobDefinition:
    """The job, for the Dagster UI; `photolineage migrate` does the same on the command line."""

    @op(
        description="Shows the SQL of the pending migrations. With `dry_run: false`: backs up the catalog, applies "
        "them and compares the tables with the code."
    )
    def migrate(
        context: OpExecutionContext,
        config: MigrateCatalogConfig,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
    ) -> Output[None]:
        from photolineage.catalog.migration_plan import apply_migration, plan_migration
        from photolineage.checks.catalog_contract import contract_report
        from photolineage.contract.dagster_checks import difference_table
        from photolineage.stores.root_folder import RootFolder

        with reported():
            plan = plan_migration(catalog.engine)
            steps = ", ".join(f"{step.id} ({step.title})" for step in plan.revision.pending)
            metadata: dict[str, MetadataValue[Any]] = {
                "revision_found": MetadataValue.text(plan.revision.found or "none"),
                "revision_expected": MetadataValue.text(plan.revision.wanted),
                "sql": MetadataValue.md(f"```sql\n{plan.sql.strip() or '-- no pending migrations'}\n```"),
            }
            if plan.revision.is_current:
                context.log.info(f"already up to date (revision {plan.revision.wanted})")
                return Output(None, metadata=metadata)
            if config.dry_run:
                context.log.info(
                    f"pending: {steps}. To apply them, launch the job again with `dry_run: false`."
                )
                context.log.info(plan.sql)
                return Output(None, metadata=metadata)
            require_own_server("Migrating the catalog")
            backup = apply_migration(
                catalog.engine, RootFolder(storage.home).inner("backups"), has_backup=config.i_have_a_backup
            )
        with reported():
            catalog.attach(catalog.engine)
            report = contract_report(catalog.engine)
        metadata["backup"] = MetadataValue.text(str(backup or "none"))
        metadata["differences"] = difference_table(report.drifts)
        if not report.holds:
            raise ExplainedError(report.summary, metadata)
        context.log.info(f"applied: {steps}. {report.summary} Backup: {backup or 'none'}")
        return Output(None, metadata=metadata)

    @job(
        name="migrate_catalog",
        config=fields_of("migrate", MigrateCatalogConfig),
        description="Migrates the catalog to the newest revision. By default, the job only shows the SQL. "
        "**Needs** that no other run is in progress. **Next:** launch it again with `dry_run: false`. A SQLite catalog "
        "is backed up automatically; back up a PostgreSQL catalog yourself, and set `i_have_a_backup: true`.",
    )
    def migrate_catalog() -> None:
        migrate()

    return migrate_catalog
