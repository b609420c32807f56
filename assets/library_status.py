"""`library_status`: one page with the state of the whole library, in figures, tables and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckKey,
    AssetExecutionContext,
    DagsterInstance,
    MaterializeResult,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
)

from assets.orchestration.partitions import SHARDS
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading
from photolineage.lineage import JOB_STEPS, LIBRARY_STATUS
from photolineage.plain_text import cell_code, printable
from photolineage.settings import Settings
from resources.failures import require_migrated
from resources.home import CatalogResource, StorageResource
from schema_checks.failed_checks import find_failed_checks
from schema_checks.freshness import FRESHNESS_CHECK

if TYPE_CHECKING:
    from photolineage.steps.library_status import LibraryFigures

SHOWN_EVENTS = 5
SHOWN_STALE = 100
SHOWN_TEXT = 300
NONE = "None."
FAILURE_COLUMNS = "| what | partition | why |\n| --- | --- | --- |"
PROGRESS_COLUMNS = TableSchema(
    [
        TableColumn("step", "string"),
        TableColumn("of", "string"),
        TableColumn("done", "int"),
        TableColumn("left", "int"),
        TableColumn("images/s", "float"),
        TableColumn("time left", "string"),
    ]
)
RATE_COLUMNS = frozenset({"images/s", "time left"})
STALE_COLUMNS = TableSchema(
    [
        TableColumn("asset", "string"),
        TableColumn("partition", "string"),
        TableColumn("reason", "string"),
    ]
)
VERIFIED_COLUMNS = TableSchema(
    [
        TableColumn("source", "string"),
        TableColumn("all originals verified since", "string"),
        TableColumn("rotten", "int"),
    ]
)
SPEED_COLUMNS = TableSchema(
    [
        TableColumn("model", "string"),
        TableColumn("precision", "string"),
        TableColumn("backend", "string"),
        TableColumn("images/s", "float"),
        TableColumn("machine", "string"),
    ]
)
PASSED_OVER_COLUMNS = TableSchema(
    [TableColumn("source", "string"), TableColumn("kind", "string"), TableColumn("files", "int")]
)


@dataclass(frozen=True, slots=True)
class AllChecks:
    """The keys of all asset checks of the code location."""

    keys: tuple[AssetCheckKey, ...]


@step_asset(
    LIBRARY_STATUS,
    "The state of the whole library on one page: the images of each source, how far each step is with each model, what "
    "is left and for how long, what is stale and why, open failures with links, the files that scans passed over, and "
    "the covers of the newest events. Changes nothing. The sensor `library_status_page` refreshes it; **Materialize** "
    "refreshes it at once.\n\n**Needs** `catalog_schema`.\n\n**Next:** open the links of the failures. For what is "
    "stale, launch the job `refresh_stale`.",
)
def library_status(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    all_checks: ResourceParam[AllChecks],
) -> MaterializeResult[None]:
    return MaterializeResult(
        metadata=status_metadata(context.instance, catalog, storage, settings, all_checks.keys)
    )


def status_metadata(
    instance: DagsterInstance,
    catalog: CatalogResource,
    storage: StorageResource,
    settings: Settings,
    checks: Sequence[AssetCheckKey],
) -> Mapping[str, MetadataValue[Any]]:
    """What the page shows. Raises Failure if the catalog is of another revision."""
    from photolineage.steps.library_status import library_figures

    require_migrated(catalog)
    figures = library_figures(catalog.engine, settings, storage.files, storage.indexes)
    of_failures = [key for key in checks if key.name != FRESHNESS_CHECK]  # what is stale has its own table
    known = {*settings.sources, *settings.models, *instance.get_dynamic_partitions(str(SHARDS.name))}
    checks_failed = list(
        find_failed_checks(instance, of_failures, lambda partition: known.issuperset(partition.split("|")))
    )
    failures = [*_failed_jobs(figures), *(failed.as_row(SHOWN_TEXT) for failed in checks_failed)]
    stale = [
        TableRecord({"asset": of.step, "partition": one.partition, "reason": one.reason})
        for of in figures.stale
        for one in of.partitions
    ]
    metadata: dict[str, MetadataValue[Any]] = {
        "progress": MetadataValue.table(_progress(figures), PROGRESS_COLUMNS),
        "speeds": MetadataValue.table(_speeds(figures), SPEED_COLUMNS),
        "stale": MetadataValue.table(stale[:SHOWN_STALE], STALE_COLUMNS),
        "failures": MetadataValue.md("\n".join([FAILURE_COLUMNS, *failures]) if failures else NONE),
        "newest_events": MetadataValue.md(_newest_events(catalog, storage, figures)),
        "passed_over": MetadataValue.table(_passed_over(figures), PASSED_OVER_COLUMNS),
        "images": MetadataValue.int(sum(source.images for source in figures.sources)),
        "not_read_yet": MetadataValue.int(sum(source.discovered for source in figures.sources)),
        "unreadable": MetadataValue.int(sum(source.failed for source in figures.sources)),
        "duplicates": MetadataValue.int(sum(source.duplicates for source in figures.sources)),
        "missing": MetadataValue.int(sum(source.missing for source in figures.sources)),
        "rotten": MetadataValue.int(sum(source.rotten for source in figures.sources)),
        "verified": MetadataValue.table(_verified(figures), VERIFIED_COLUMNS),
        "stale_partitions": MetadataValue.int(len(stale)),
        "open_failures": MetadataValue.int(figures.failed_jobs + len(checks_failed)),
    }
    if figures.problem:
        metadata["problem"] = MetadataValue.text(figures.problem)
    return metadata


def _progress(figures: "LibraryFigures") -> list[TableRecord]:
    return [
        TableRecord(
            {
                "step": one.step,
                "of": " × ".join(key for key in (one.source, one.model) if key is not None),
                "done": one.done,
                "left": one.left,
                "images/s": one.images_per_second and round(one.images_per_second, 1),
                "time left": "–"
                if one.seconds_left is None
                else str(timedelta(seconds=round(one.seconds_left))),
            }
        )
        for one in figures.progress
    ]


def _speeds(figures: "LibraryFigures") -> list[TableRecord]:
    """How each machine computes the models, and how fast, as measured there."""
    return [
        TableRecord(
            {
                "model": one.model,
                "precision": one.way.precision.value,
                "backend": one.way.backend.value,
                "images/s": one.way.images_per_second,
                "machine": one.machine,
            }
        )
        for one in figures.speeds
    ]


def _failed_jobs(figures: "LibraryFigures") -> Iterator[str]:
    """Each job that did not succeed as a row of a Markdown table, with a link to its run."""
    for job in figures.jobs:
        if job.state != "running":
            error = cell_code(printable(job.error or job.state)[:SHOWN_TEXT])
            yield f"| [{JOB_STEPS[job.kind].name}](/runs/{job.run_id}) | {cell_code(job.subject)} | {error} |"


def _passed_over(figures: "LibraryFigures") -> list[TableRecord]:
    return [
        TableRecord({"source": source.key, "kind": printable(kind), "files": files})
        for source in figures.sources
        for kind, files in source.passed_over.items()
    ]


def _verified(figures: "LibraryFigures") -> list[TableRecord]:
    return [
        TableRecord(
            {
                "source": source.key,
                "all originals verified since": f"{source.verified_at:%Y-%m-%d %H:%M} UTC"
                if source.verified_at
                else "–",
                "rotten": source.rotten,
            }
        )
        for source in figures.sources
    ]


def _newest_events(catalog: CatalogResource, storage: StorageResource, figures: "LibraryFigures") -> str:
    from photolineage.catalog.listing import list_events
    from photolineage.events.pictures import cover_sheet
    from photolineage.models.registry import require_model
    from photolineage.stores.pictures import as_markdown

    with_events = [model for model in figures.models if model.events]
    model = next((model for model in with_events if model.serving), next(iter(with_events), None))
    if model is None:
        return "No events yet."
    with reading(catalog.engine) as connection:
        events = list_events(connection, require_model(connection, model.key).id, limit=SHOWN_EVENTS)
    covers = cover_sheet(catalog.engine, storage.previews, events)
    return as_markdown(covers, "Covers of the newest events") if covers else "No cover has a preview."
