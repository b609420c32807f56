"""Builds the Dagster definitions of the lineage from the settings."""

import warnings
from functools import partial

from dagster import Definitions, PreviewWarning, in_process_executor

from assets.catalog_schema import catalog_schema
from assets.image_embeddings import image_embeddings
from assets.image_events import image_events
from assets.library_status import AllChecks, library_status
from assets.model_comparison import model_comparison
from assets.orchestration.alerts_sensor import alerts_sensor
from assets.orchestration.explain_photo import explain_photo_job
from assets.orchestration.jobs import check_contract_job, check_freshness_job, lineage_jobs
from assets.orchestration.maintenance_jobs import maintain_indexes_job, sweep_files_job
from assets.orchestration.migrate_catalog import migrate_catalog_job
from assets.orchestration.partitions import partitions_of
from assets.orchestration.promote_model import promote_model_job
from assets.orchestration.refresh_stale import refresh_stale_job
from assets.orchestration.repair import repair_job
from assets.orchestration.retire_model import retire_model_job
from assets.orchestration.schedules import clock_schedules
from assets.orchestration.stale_partitions import stale_partitions_sensor
from assets.orchestration.status_page import status_page_sensor
from assets.registered_images import registered_images
from assets.serving_model import serving_model
from assets.source_files import source_files
from assets.vector_index import vector_index
from assets.verified_originals import verified_originals
from photolineage.settings import Settings
from resources.home import catalog_resource, fixed_resource, storage_resource
from resources.progress import LoggedProgress, ProgressSink
from schema_checks.asset_checks import catalog_table_checks, store_checks
from schema_checks.freshness import freshness_checks

ASSETS = (
    catalog_schema,
    source_files,
    registered_images,
    image_embeddings,
    vector_index,
    image_events,
    verified_originals,
    model_comparison,
    serving_model,
    library_status,
)


def build_definitions(settings: Settings, progress: ProgressSink | None = None) -> Definitions:
    """The definitions of the lineage with these settings. `progress`: what shows it; default: the log of the run."""
    jobs = lineage_jobs()
    contract_job = check_contract_job()
    freshness = freshness_checks()
    freshness_job = check_freshness_job(freshness)
    indexes_job, sweep_job = maintain_indexes_job(), sweep_files_job()
    with warnings.catch_warnings():
        # Partitioned checks are a preview in Dagster 1.13. Without them the UI shows only the last partition's result.
        warnings.simplefilter("ignore", PreviewWarning)
        assets = [make(settings) for make in ASSETS]
        checks = [
            catalog_table_checks(),
            freshness,
            *store_checks(partial(partitions_of, settings=settings)),
        ]
    all_checks = AllChecks(tuple(key for made in (*assets, *checks) for key in made.check_keys))
    return Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[
            *jobs.values(),
            migrate_catalog_job(),
            promote_model_job(settings),
            refresh_stale_job(),
            repair_job(),
            retire_model_job(),
            contract_job,
            freshness_job,
            indexes_job,
            sweep_job,
            explain_photo_job(),
        ],
        schedules=clock_schedules(jobs, contract_job, freshness_job, indexes_job, sweep_job),
        sensors=[stale_partitions_sensor(jobs, settings), alerts_sensor(settings), status_page_sensor()],
        resources={
            "catalog": catalog_resource(settings),
            "storage": storage_resource(settings),
            "settings": fixed_resource(settings, "The configuration."),
            "all_checks": fixed_resource(all_checks, "The keys of all checks."),
            "progress": fixed_resource(progress or LoggedProgress(), "Shows the progress of a run."),
        },
        executor=in_process_executor,
    )
