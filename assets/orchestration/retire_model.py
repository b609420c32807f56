"""The job `retire_model`: it lists the files of a model, and removes them with `delete_files: true`."""

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
from photolineage.catalog.engine import reading
from photolineage.settings import Settings
from resources.failures import reported
from resources.home import CatalogResource, StorageResource
from resources.own_server import require_own_server


class RetireModelConfig(Config):
    """Which model to retire, and whether to remove its files."""

    model: str = Field(description="The key of the model to retire.")
    delete_files: bool = Field(
        default=False,
        description="Remove the model's embeddings, index and events; false only lists them. First promote another "
        "model, and remove this one from the configuration.",
    )


def retire_model_job() -> JobDefinition:
    """The job, for the Dagster UI; `photolineage retire` does the same on the command line."""

    @op(description="Lists the files of a model and their sizes. With `delete_files: true`: removes them.")
    def retire(
        context: OpExecutionContext,
        config: RetireModelConfig,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> Output[None]:
        from photolineage.steps.jobs import JobContext
        from photolineage.upgrade.retire import ModelStores, plan_retirement, retire_model

        stores = ModelStores(storage.files, storage.indexes)
        with reported():
            if config.delete_files:
                require_own_server("Retiring a model")
                plan = retire_model(
                    JobContext(catalog.engine, context.run.run_id, catalog.lease_timeout),
                    stores,
                    config.model,
                    configured=settings.models,
                )
            else:
                with reading(catalog.engine) as connection:
                    plan = plan_retirement(connection, stores, config.model)
        context.log.info(f"{config.model}: {plan.size_bytes / 1e6:,.1f} MB {_fate(config)}")
        return Output(
            None,
            metadata={
                "events": plan.events,
                "checkpoints": plan.committed_files,
                "megabytes": round(plan.size_bytes / 1e6, 2),
                "files": MetadataValue.table(
                    [
                        TableRecord(
                            {
                                "path": stored.location,
                                "files": stored.files,
                                "megabytes": round(stored.size_bytes / 1e6, 2),
                            }
                        )
                        for stored in plan.stored
                    ]
                ),
            },
        )

    @job(
        name="retire_model",
        config=fields_of("retire", RetireModelConfig),
        description="Removes the embeddings, index and events of a model that you don't use any more. By default, the "
        "job only lists them. **Needs** another serving model, and this one removed from the configuration. "
        "**Next:** launch it again with `delete_files: true`.",
    )
    def retire_model_of_config() -> None:
        retire()

    return retire_model_of_config


def _fate(config: RetireModelConfig) -> str:
    return (
        "were removed" if config.delete_files else "would be removed; set `delete_files: true` to remove them"
    )
