"""The job `repair`: it lists what is wrong in the library, and repairs it with `apply: true`."""

from typing import TYPE_CHECKING, Any

from dagster import (
    Config,
    DagsterInstance,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    Output,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
    job,
    op,
)
from pydantic import Field
from sqlalchemy import Engine

from assets.orchestration.launchpad import fields_of
from assets.orchestration.partitions import SHARDS, compare_shards
from photolineage.plain_text import printable
from photolineage.settings import Settings
from resources.failures import ExplainedError, reported
from resources.home import CatalogResource
from resources.own_server import require_own_server

if TYPE_CHECKING:
    from photolineage.checks.repair_catalog import Repair

_SCHEMA = TableSchema([TableColumn(name, "string") for name in ("what", "where", "how", "outcome")])


class RepairConfig(Config):
    """Whether to repair or only list, and what is allowed."""

    apply: bool = Field(default=False, description="Repair; false only lists the repairs.")
    allow_data_loss: bool = Field(
        default=False, description="Also apply the fixes of the catalog that lose data."
    )
    i_have_a_backup: bool = Field(
        default=False,
        description="Set this to true to repair a PostgreSQL catalog. SQLite is backed up automatically.",
    )


def repair_job() -> JobDefinition:
    """The job, for the Dagster UI; `photolineage repair` does the same on the command line."""

    @op(
        name="repair_library",
        description="Lists what is wrong in the library. With `apply: true`: repairs it.",
    )
    def work(
        context: OpExecutionContext,
        config: RepairConfig,
        catalog: ResourceParam[CatalogResource],
        settings: ResourceParam[Settings],
    ) -> Output[None]:
        from photolineage.checks.repair import plan_repair, repair_library, rows
        from photolineage.steps.jobs import JobContext

        with reported():
            if config.apply:
                require_own_server("Repairing the library")
                report = repair_library(
                    JobContext(catalog.engine, context.run.run_id, catalog.lease_timeout),
                    settings,
                    has_backup=config.i_have_a_backup,
                    allow_data_loss=config.allow_data_loss,
                )
            else:
                report = plan_repair(catalog.engine, settings, allow_data_loss=config.allow_data_loss)
        repairs = list(report.repairs)
        if report.schema_holds:
            repairs += _unknown_partitions(context.instance, catalog.engine, settings, remove=config.apply)
        metadata: dict[str, MetadataValue[Any]] = {
            "repairs": MetadataValue.table([TableRecord(row) for row in rows(repairs)], _SCHEMA),
            "backup": MetadataValue.text(str(report.backup or "none")),
        }
        for row in rows(repairs):
            context.log.info(f"{row['what']}, {printable(row['where'])}: {row['outcome']}. {row['how']}")
        if report.failed:
            raise ExplainedError("Not everything could be repaired: the table `repairs` says why.", metadata)
        if not repairs:
            context.log.info("There is nothing to repair.")
        elif not config.apply:
            context.log.info("Nothing was changed yet. To repair, launch the job again with `apply: true`.")
        return Output(None, metadata=metadata)

    @job(
        name="repair",
        config=fields_of("repair_library", RepairConfig),
        description="Repairs the library: fixes the tables of the catalog as far as no data is lost, rebuilds vector "
        "indexes of a wrong shape, makes lost files due, and removes partitions without a shard. By default, the job "
        "only lists the repairs, in the table `repairs` of its output. **Needs** that no other run is in progress. "
        "**Next:** launch it again with `apply: true`. A SQLite catalog is backed up automatically; back up a "
        "PostgreSQL catalog yourself, and set `i_have_a_backup: true`. Fixes that lose data are applied only with "
        "`allow_data_loss: true`.",
    )
    def repair() -> None:
        work()

    return repair


def _unknown_partitions(
    instance: DagsterInstance, engine: Engine, settings: Settings, *, remove: bool
) -> "list[Repair]":
    from photolineage.checks.repair_catalog import Outcome, Repair

    _, unknown = compare_shards(instance, engine, settings)
    if remove:
        for name in unknown:
            instance.delete_dynamic_partition(str(SHARDS.name), name)
    outcome = Outcome.DONE if remove else Outcome.PLANNED
    return [Repair("partition without a shard", name, "remove it from Dagster", outcome) for name in unknown]
