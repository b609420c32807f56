"""`serving_model`: the one model that search and browsing use."""

from collections.abc import Iterator

from dagster import (
    AssetExecutionContext,
    Config,
    ResourceParam,
)
from pydantic import Field
from sqlalchemy import Engine

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.step_asset import step_asset
from photolineage.lineage import SERVING_MODEL
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.own_server import require_own_server
from schema_checks.partition_checks import CheckInputs

LISTED_VIOLATIONS = 5


class ServingModelConfig(Config):
    """Which model to promote."""

    model: str | None = Field(
        default=None,
        description="The key of the model to promote. If you leave it out, the current serving model is kept; if no "
        "model serves yet, the first configured model with embeddings is promoted.",
    )


@step_asset(
    SERVING_MODEL,
    "The model that search uses. Materialize it with `model: <key>` to promote another model. It fails, says why and "
    "changes nothing if the new model has not embedded every image, if its files do not match the contract, or if "
    "its recall is too low. To go back, promote the former model again: it was tested when it first served, so "
    "missing embeddings and an outdated index are only warnings.\n\n**Needs** the model in `vector_index`, with "
    "every image embedded; read its `model_comparison` first.\n\n"
    '**Next:** search: `photolineage search "a red boat"`.',
)
def serving_model(
    context: AssetExecutionContext,
    config: ServingModelConfig,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
) -> Iterator[Recorded]:
    from photolineage.upgrade.promote import (
        assess_former,
        assess_readiness,
        choose_candidate,
        has_served,
        promote,
    )

    with checked_run(context, SERVING_MODEL, CheckInputs(catalog, storage, settings)) as run:
        require_own_server("Promoting a model")
        model_key = choose_candidate(catalog.engine, list(settings.models), config.model)
        former = has_served(catalog.engine, model_key)
        _require_contract(catalog.engine, storage, model_key, index_only=former)
        if former:
            readiness = assess_former(catalog.engine, storage.indexes, model_key)
        else:
            readiness = assess_readiness(
                catalog.engine,
                storage.embeddings,
                storage.indexes,
                model_key,
                settings.recall_bar,
            )
        before = promote(catalog.engine, readiness)
        context.log.info(f"{model_key} is the serving model now (before: {before or 'none'})")
        for warning in readiness.warnings:
            context.log.warning(f"{model_key} serves, but {warning}")
        metadata: dict[str, str | int | float] = {
            "model": model_key,
            "previous_model": before or "none",
            "images": readiness.embeddable,
            "not_embedded": readiness.embeddable - readiness.embedded,
        }
        if readiness.recall:
            metadata |= {
                "recall_at_10": readiness.recall.recall,
                "p50_ms": round(readiness.recall.p50_ms, 2),
            }
        yield from run.materialized(None, metadata)


def _require_contract(engine: Engine, storage: StorageResource, model_key: str, *, index_only: bool) -> None:
    from photolineage.checks.stored_model import contract_violations, index_violations
    from photolineage.upgrade.promote import refusal

    with engine.connect() as connection:
        if index_only:
            found = index_violations(connection, storage.indexes, model_key)
        else:
            found = contract_violations(connection, storage.embeddings, storage.indexes, model_key)
    if found:
        more = [f"and {len(found) - LISTED_VIOLATIONS} more"] if len(found) > LISTED_VIOLATIONS else []
        raise refusal(model_key, [*found[:LISTED_VIOLATIONS], *more])
