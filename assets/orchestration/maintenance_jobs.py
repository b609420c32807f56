"""The maintenance jobs `maintain_indexes` and `sweep_files`."""

from typing import TYPE_CHECKING

from dagster import (
    Config,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    Output,
    ResourceParam,
    TableRecord,
    job,
    op,
)
from pydantic import Field

from assets.orchestration.launchpad import fields_of
from photolineage.catalog.leases import LeaseHeldError
from photolineage.errors import PhotolineageError
from photolineage.settings import Settings
from resources.failures import ExplainedError, reported, require_migrated
from resources.home import CatalogResource, StorageResource
from resources.own_server import require_own_server

if TYPE_CHECKING:
    from photolineage.steps.index import IndexMaintenanceReport


def maintain_indexes_job() -> JobDefinition:
    """The job that compacts the index of each configured model."""

    @op(description="Compacts the index of each model. Skips an index that a run is building.")
    def compact_indexes(
        context: OpExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> Output[None]:
        from photolineage.steps.index import maintain_index
        from photolineage.steps.jobs import JobContext

        require_migrated(catalog)
        job_context = JobContext(catalog.engine, context.run.run_id, catalog.lease_timeout)
        rows, failures = [], []
        for model_key in settings.models:
            try:
                report = maintain_index(job_context, storage.indexes, model_key)
            except LeaseHeldError as error:
                context.log.info(f"{model_key}: skipped. {error}")
                continue
            except PhotolineageError as error:
                failures.append(f"{model_key}: {error}")
                continue
            if report is None:
                context.log.info(f"{model_key}: no index yet; materialize vector_index for {model_key}")
            else:
                rows.append(_record(model_key, report))
        metadata = {"indexes": MetadataValue.table(rows)} if rows else {}
        if failures:
            raise ExplainedError("\n".join(failures), metadata)
        return Output(None, metadata=metadata)

    @job(
        name="maintain_indexes",
        description="Compacts each vector index: merges small fragments, deletes old versions, and trains the "
        "approximate index again if the library has doubled since it was trained. Search works in the meantime. "
        "**Needs** a materialized `vector_index`. **Next:** you don't need to do anything; the schedule "
        "`nightly_index_maintenance` runs this job every night.",
    )
    def maintain_indexes() -> None:
        compact_indexes()

    return maintain_indexes


def _record(model_key: str, report: "IndexMaintenanceReport") -> TableRecord:
    return TableRecord(
        {
            "model": model_key,
            "rows": report.ann.rows,
            "fragments before": report.compaction.fragments_before,
            "fragments": report.compaction.fragments_after,
            "megabytes before": round(report.compaction.bytes_before / 1e6, 2),
            "megabytes": round(report.compaction.bytes_after / 1e6, 2),
            "approximate index": str(report.ann.action),
        }
    )


class SweepConfig(Config):
    """Whether to remove the files or only list them."""

    dry_run: bool = Field(default=False, description="Only list the files; remove nothing.")


def sweep_files_job() -> JobDefinition:
    """The job that removes leftover preview and embedding files."""

    @op(description="Removes files that are not in the catalog and are older than a day.")
    def remove_garbage(
        context: OpExecutionContext,
        config: SweepConfig,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
    ) -> Output[None]:
        from photolineage.steps.sweep import sweep_files

        require_migrated(catalog)
        if not config.dry_run:
            require_own_server("Removing files")
        with reported():
            report = sweep_files(catalog.engine, storage.files, remove=not config.dry_run)
        verb = "would be removed" if config.dry_run else "were removed"
        context.log.info(f"{len(report.garbage)} files {verb}, {report.kept} files are kept")
        return Output(
            None,
            metadata={
                "removed": 0 if config.dry_run else len(report.garbage),
                "garbage_megabytes": round(report.garbage_bytes / 1e6, 2),
                "kept": report.kept,
                "garbage": [storage.files.location(file.path) for file in report.garbage[:100]],
            },
        )

    @job(
        name="sweep_files",
        config=fields_of("remove_garbage", SweepConfig),
        description="Removes files that killed runs left behind: previews and embeddings that are not in the catalog, "
        "and unfinished exports. Files younger than a day are kept; with `dry_run: true`, the job only lists the "
        "files. **Needs** `catalog_schema`. **Next:** you don't need to do anything; the schedule `nightly_sweep` "
        "runs this job every night.",
    )
    def sweep_files() -> None:
        remove_garbage()

    return sweep_files
