"""The lineage over a configuration: composition, and nothing else."""

import warnings

from dagster import Definitions, PreviewWarning, in_process_executor

from assets.catalog_schema import catalog_schema_asset
from assets.image_embeddings import image_embeddings_asset
from assets.image_events import image_events_asset
from assets.jobs import check_contract_job, daily_contract_check, lineage_jobs, stale_partitions_sensor
from assets.migrate_catalog import migrate_catalog_job
from assets.model_comparison import model_comparison_asset
from assets.partitions import model_partitions, model_shard_partitions
from assets.progress import LoggedProgress
from assets.registered_images import registered_images_asset
from assets.serving_model import serving_model_asset
from assets.source_files import source_files_asset
from assets.vector_index import vector_index_asset
from resources.dagster_resources import catalog_resource, storage_resource
from resources.settings import Settings
from schema_checks.asset_checks import catalog_table_checks, store_checks


def build_definitions(settings: Settings) -> Definitions:
    """The lineage over these settings."""
    jobs = lineage_jobs()
    contract_job = check_contract_job()
    with warnings.catch_warnings():
        # Partitioned checks are a preview in Dagster 1.13; without them the UI shows the last partition's alone.
        warnings.simplefilter("ignore", PreviewWarning)
        assets = [
            catalog_schema_asset(),
            source_files_asset(settings),
            registered_images_asset(settings),
            image_embeddings_asset(settings),
            vector_index_asset(settings),
            image_events_asset(settings),
            model_comparison_asset(settings),
            serving_model_asset(),
        ]
        checks = [
            catalog_table_checks(),
            *store_checks(model_partitions(settings), model_shard_partitions(settings)),
        ]
    return Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs.values(), migrate_catalog_job(), contract_job],
        schedules=[daily_contract_check(contract_job)],
        sensors=[stale_partitions_sensor(jobs)],
        resources={
            "catalog": catalog_resource(settings),
            "storage": storage_resource(settings),
            "settings": settings,
            "progress": LoggedProgress(),
        },
        executor=in_process_executor,
    )
