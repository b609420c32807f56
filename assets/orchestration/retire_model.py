"""The job `retire_model`: lists what there is of a model, and removes it when asked to."""

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

from photolineage.settings import Settings
from resources.failures import reported
from resources.home import CatalogResource, StorageResource


class RetireModelConfig(Config):
    """Which model, and whether its files really go."""

    model: str = Field(description="The key of the model.")
    delete_files: bool = Field(
        default=False,
        description="Remove its embeddings, index and events; otherwise they are only listed. The model may be "
        "neither the serving one nor configured any more.",
    )


def retire_model_job() -> JobDefinition:
    """The job, for the Dagster UI; `photolineage retire` is the same on the command line."""

    @op(description="Lists what there is of a model with its size; removes it with `delete_files: true`.")
    def retire(
        context: OpExecutionContext,
        config: RetireModelConfig,
        catalog: CatalogResource,
        storage: StorageResource,
        settings: ResourceParam[Settings],
    ) -> Output[None]:
        from photolineage.steps.jobs import JobContext
        from photolineage.upgrade.retire import ModelStores, plan_retirement, retire_model

        stores = ModelStores(storage.files, storage.indexes)
        with reported():
            if config.delete_files:
                plan = retire_model(
                    JobContext(catalog.engine, context.run.run_id, catalog.lease_timeout),
                    stores,
                    config.model,
                    configured=settings.models,
                )
            else:
                with catalog.engine.connect() as connection:
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
        description="Removes what was made with a model that is not used any more; by default it only lists it. "
        "**Needs** another serving model, and the entry of this one removed from the configuration. **Next:** "
        "nothing.",
    )
    def retire_model_of_config() -> None:
        retire()

    return retire_model_of_config


def _fate(config: RetireModelConfig) -> str:
    return (
        "were removed" if config.delete_files else "would be removed; set `delete_files: true` to remove them"
    )
