"""`verified_originals`: the originals of a shard, read again to find files that have changed on the disk (bit rot)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import AssetExecutionContext, MetadataValue, ResourceParam, TableColumn, TableRecord, TableSchema

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.running import job_context
from assets.orchestration.step_asset import step_asset
from photolineage.lineage import VERIFIED_ORIGINALS
from photolineage.plain_text import printable
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink
from schema_checks.partition_checks import CheckInputs

if TYPE_CHECKING:
    from photolineage.steps.verify import VerificationReport

LISTED_FILES = 100
FILE_COLUMNS = TableSchema([TableColumn("path", "string"), TableColumn("what is wrong", "string")])


@step_asset(
    VERIFIED_ORIGINALS,
    "Reads the originals of a shard again. A file whose bytes have changed, while its size and time have not, is "
    "rotten: the check `originals_intact` fails, and names an intact copy. Reads at most "
    "`verification.megabytes_per_second`. A killed run continues where it was.\n\n**Needs** the shard in "
    "`registered_images`, and the source's disk.\n\n**Next:** turn on the schedule `nightly_verification`. To find out "
    "whether a disk may be wiped, run `photolineage covered <source>`.",
)
def verified_originals(
    context: AssetExecutionContext,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    progress: ResourceParam[ProgressSink],
) -> Iterator[Recorded]:
    from photolineage.steps.verify import verify_shard

    with checked_run(context, VERIFIED_ORIGINALS, CheckInputs(catalog, storage, settings)) as run:
        for shard_key in context.partition_keys:
            with run.kept([shard_key]):
                report = verify_shard(
                    job_context(context, catalog),
                    shard_key,
                    megabytes_per_second=settings.verification.megabytes_per_second,
                    checkpoint_images=settings.checkpoint_images,
                    on_progress=progress.track(context, shard_key),
                )
                if report.changed:
                    context.log.info(
                        f"{shard_key}: {len(report.changed):,} files have another size or time than in the catalog and "
                        f"were not verified, {printable(report.changed[0])} for example. Scan the source."
                    )
                yield from run.materialized(shard_key, _metadata(report))
        yield from run.end()


def _metadata(report: "VerificationReport") -> dict[str, MetadataValue[Any]]:
    wrong = [
        *((path, "rotten: its bytes have changed, but not its size and time") for path in report.rotten),
        *report.unreadable.items(),
    ]
    metadata: dict[str, MetadataValue[Any]] = {
        "images": MetadataValue.int(report.total),
        "verified": MetadataValue.int(report.verified),
        "rotten": MetadataValue.int(len(report.rotten)),
        "unreadable": MetadataValue.int(len(report.unreadable)),
        "changed": MetadataValue.int(len(report.changed)),
        "resumed": MetadataValue.int(report.resumed),
        "read_megabytes": MetadataValue.float(round(report.read_bytes / 1e6, 1)),
        "seconds": MetadataValue.float(round(report.seconds, 1)),
        "megabytes_per_second": MetadataValue.float(round(report.megabytes_per_second, 1)),
    }
    if wrong:
        records = [
            TableRecord({"path": printable(path), "what is wrong": printable(what)})
            for path, what in wrong[:LISTED_FILES]
        ]
        metadata["files"] = MetadataValue.table(records, FILE_COLUMNS)
    return metadata
