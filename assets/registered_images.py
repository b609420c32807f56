"""`registered_images`: the facts of each image of a shard, or the reason why the image cannot be read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetExecutionContext,
    Config,
    MetadataValue,
    ResourceParam,
    TableRecord,
)
from pydantic import Field

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.running import first_attempt, job_context
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading
from photolineage.catalog.queries import failures, find_shard
from photolineage.lineage import REGISTERED_IMAGES
from photolineage.plain_text import printable
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.progress import ProgressSink, rate_metadata
from schema_checks.partition_checks import CheckInputs

if TYPE_CHECKING:
    from photolineage.steps.register import RegistrationReport

LISTED_FAILURES = 100


class RegisteredImagesConfig(Config):
    """What to read besides the new and changed images."""

    retry_failed: bool = Field(
        default=False,
        description="Read the unreadable images again, even if their files have not changed. Set this after you "
        "fixed a permission, installed a codec or replaced a failing disk.",
    )


@step_asset(
    REGISTERED_IMAGES,
    "Content hash, size, time, place, camera and a preview of each image of a shard. "
    "An unreadable image is recorded with the reason. Materialize the partition again to read only new and "
    "changed images; with `retry_failed: true` it reads the unreadable images again too.\n\n**Needs** "
    "`source_files`, which creates the shards: each shard is a partition of this asset.\n\n**Next:** materialize "
    "the missing partitions of `image_embeddings`.",
)
def registered_images(
    context: AssetExecutionContext,
    config: RegisteredImagesConfig,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
    progress: ResourceParam[ProgressSink],
) -> Iterator[Recorded]:
    from photolineage.media import limit_decoding
    from photolineage.steps.register import read_failures_again, register_shard

    limit_decoding(memory_bytes=settings.decoding.memory_bytes, seconds=settings.decoding.seconds)
    with checked_run(context, REGISTERED_IMAGES, CheckInputs(catalog, storage, settings)) as run:
        for shard_key in context.partition_keys:
            with run.kept([shard_key]):
                with reading(catalog.engine) as connection:
                    shard = find_shard(connection, shard_key)
                if config.retry_failed:
                    again = read_failures_again(catalog.engine, shard_key, asked_by=first_attempt(context))
                    context.log.info(f"{shard_key}: reading {again:,} unreadable images again")
                report = register_shard(
                    job_context(context, catalog),
                    storage.previews,
                    shard_key,
                    time_zone=settings.time_zone_of(shard.source_key),
                    checkpoint_images=settings.checkpoint_images,
                    checkpoint_seconds=settings.checkpoint_seconds,
                    on_progress=progress.track(context, shard_key),
                )
                yield from run.materialized(shard_key, _metadata(catalog, shard.id, report))
        yield from run.end()


def _metadata(
    catalog: CatalogResource, shard_id: int, report: "RegistrationReport"
) -> dict[str, MetadataValue[Any]]:
    with reading(catalog.engine) as connection:
        unreadable = failures(connection, shard_id=shard_id, limit=LISTED_FAILURES)
    metadata: dict[str, MetadataValue[Any]] = {
        "registered": MetadataValue.int(report.registered),
        "unreadable": MetadataValue.int(report.failed),
        "duplicates": MetadataValue.int(report.duplicates),
        "truncated": MetadataValue.int(report.truncated),
        "moved_now": MetadataValue.int(report.moved),
        "read_now": MetadataValue.int(report.read),
        "read_megabytes": MetadataValue.float(round(report.read_bytes / 1e6, 1)),
        "preview_megabytes": MetadataValue.float(round(report.preview_bytes / 1e6, 1)),
        "seconds": MetadataValue.float(round(report.seconds, 1)),
        **rate_metadata(report.read, report.seconds),
    }
    if unreadable:
        metadata["failures"] = MetadataValue.table(
            [
                TableRecord(
                    {
                        "path": printable(path),
                        "reason": str(reason),
                        "detail": str(detail),
                    }
                )
                for path, reason, detail in unreadable
            ]
        )
    return metadata
