"""`serving_model`: the one model that search and browsing use."""

from collections.abc import Iterator

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    Config,
    MaterializeResult,
    ResourceParam,
)
from pydantic import Field
from sqlalchemy import Engine

from assets.orchestration.running import guard
from assets.orchestration.step_asset import step_asset
from photolineage.lineage import SERVING_MODEL
from photolineage.settings import Settings
from resources.failures import reported
from resources.home import CatalogResource, StorageResource

LISTED_VIOLATIONS = 5


class ServingModelConfig(Config):
    """Which model is to serve."""

    model: str | None = Field(
        default=None,
        description="The key of the model to promote. Left out: the one that serves stays, or the first one "
        "that has embeddings is promoted.",
    )


@step_asset(
    SERVING_MODEL,
    "The model that search uses. Materialize it with `model: <key>` to promote another; it "
    "refuses one that does not cover every image, whose files are not as the contract says, or whose recall is "
    "too low, and says why. Promoting a former model again is the way back: it was assessed when it first served, "
    "and what it lacks by now is a warning.\n\n**Needs** the model in "
    "`vector_index`, complete; read its `model_comparison` before.\n\n"
    '**Next:** search: `photolineage search "a red boat"`.',
)
def serving_model(
    context: AssetExecutionContext,
    config: ServingModelConfig,
    catalog: CatalogResource,
    storage: StorageResource,
    settings: ResourceParam[Settings],
) -> Iterator[AssetCheckResult | MaterializeResult[None]]:
    from photolineage.upgrade.promote import (
        assess_former,
        assess_readiness,
        choose_candidate,
        has_served,
        serve,
    )

    yield from guard(catalog, SERVING_MODEL)
    with reported():
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
        before = serve(catalog.engine, readiness)
    context.log.info(f"{model_key} serves (before: {before or 'none'})")
    for warning in readiness.warnings:
        context.log.warning(f"{model_key} serves, and {warning}")
    metadata: dict[str, str | int | float] = {
        "model": model_key,
        "before": before or "none",
        "images": readiness.embeddable,
        "not_embedded": readiness.embeddable - readiness.embedded,
    }
    if readiness.recall:
        metadata |= {
            "recall_at_10": readiness.recall.recall,
            "p50_ms": round(readiness.recall.p50_ms, 2),
        }
    yield MaterializeResult(metadata=metadata)


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
