"""The job `migrate_catalog`: shows the SQL, and applies it when asked to."""

from pathlib import Path
from typing import Any

from dagster import Config, Failure, JobDefinition, MetadataValue, OpExecutionContext, Output, job, op
from pydantic import Field

from resources.failures import reported
from resources.home import CatalogResource, StorageResource


class MigrateCatalogConfig(Config):
    """What the job may do."""

    dry_run: bool = Field(default=True, description="Show the SQL and change nothing.")
    i_have_a_backup: bool = Field(
        default=False,
        description="A PostgreSQL catalog is changed only if this is true. SQLite is backed up by itself.",
    )


def migrate_catalog_job() -> JobDefinition:
    """The job, for the Dagster UI; `photolineage migrate` is the same on the command line."""

    @op(
        description="Shows the SQL of the migrations to come; with `dry_run: false` backs up, applies and verifies."
    )
    def migrate(
        context: OpExecutionContext,
        config: MigrateCatalogConfig,
        catalog: CatalogResource,
        storage: StorageResource,
    ) -> Output[None]:
        from photolineage.catalog.migration_plan import apply_migration, plan_migration
        from photolineage.checks.catalog_contract import contract_report
        from schema_checks.check_metadata import difference_table

        with reported():
            plan = plan_migration(catalog.engine)
            steps = ", ".join(f"{step.id} ({step.title})" for step in plan.revision.pending)
            metadata: dict[str, MetadataValue[Any]] = {
                "revision_found": MetadataValue.text(plan.revision.found or "none"),
                "revision_wanted": MetadataValue.text(plan.revision.wanted),
                "sql": MetadataValue.md(f"```sql\n{plan.sql.strip() or '-- nothing to do'}\n```"),
            }
            if plan.revision.is_current:
                context.log.info(f"already up to date (revision {plan.revision.wanted})")
                return Output(None, metadata=metadata)
            if config.dry_run:
                context.log.info(f"to come: {steps}. Run it again with `dry_run: false` to apply this.")
                context.log.info(plan.sql)
                return Output(None, metadata=metadata)
            backup = apply_migration(
                catalog.engine, Path(storage.home) / "backups", has_backup=config.i_have_a_backup
            )
        report = contract_report(catalog.engine)
        metadata["backup"] = MetadataValue.text(str(backup or "none"))
        metadata["differences"] = difference_table(report.drifts)
        if not report.holds:
            raise Failure(description=report.summary, metadata=metadata, allow_retries=False)
        context.log.info(f"applied: {steps}. {report.summary} Backup: {backup or 'none'}")
        return Output(None, metadata=metadata)

    @job(
        name="migrate_catalog",
        description="Brings the catalog to the newest revision. By default it only shows the SQL (`dry_run`). "
        "**Needs** that no other run writes. **Next:** launch it again with `dry_run: false`; a SQLite catalog is "
        "backed up first, for PostgreSQL say `i_have_a_backup: true`.",
    )
    def migrate_catalog() -> None:
        migrate()

    return migrate_catalog
