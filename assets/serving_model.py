"""`serving_model`: the one model that search and browsing use."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dagster import (
    AssetExecutionContext,
    Config,
    ResourceParam,
)
from pydantic import Field
from sqlalchemy import Engine

from assets.orchestration.checked_run import Recorded, checked_run
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading
from photolineage.catalog.queries import serving_model_key
from photolineage.lineage import SERVING_MODEL
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from resources.own_server import require_own_server
from schema_checks.partition_checks import CheckInputs

if TYPE_CHECKING:
    from photolineage.upgrade.promote import Readiness

LISTED_VIOLATIONS = 5


class ServingModelConfig(Config):
    """Which model to promote."""

    model: str | None = Field(
        default=None,
        description="The key of the model to promote. If you leave it out, the current serving model is kept; if no "
        "model serves yet, the first configured model with embeddings is promoted.",
    )
    force: bool = Field(
        default=False,
        description="Promote the model even if it loses pinned searches. It must meet all other conditions.",
    )


@step_asset(
    SERVING_MODEL,
    "The model that search uses. To promote another model, launch the job `promote_model`. It fails, says why and "
    "changes nothing if the new model has not embedded every image, if its files do not match the contract, if its "
    "recall is too low, or if it loses a pinned search. To go back, promote the former model again: it was tested when "
    "it first served, so missing embeddings and an outdated index are only warnings. Materialize without a "
    "configuration keeps the serving model.\n\n"
    "**Needs** the model in `vector_index`, with every image embedded; read its `model_comparison` first.\n\n"
    '**Next:** search: `photolineage search "a red boat"`.',
)
def serving_model(
    context: AssetExecutionContext,
    config: ServingModelConfig,
    catalog: ResourceParam[CatalogResource],
    storage: ResourceParam[StorageResource],
    settings: ResourceParam[Settings],
) -> Iterator[Recorded]:
    with checked_run(context, SERVING_MODEL, CheckInputs(catalog, storage, settings)) as run:
        with reading(catalog.engine) as connection:
            serving = serving_model_key(connection)
        if config.model is None and serving is not None:
            context.log.info(
                f"{serving} is still the serving model. To promote another model, launch the job promote_model."
            )
            measured: Mapping[str, float] = {}
        else:
            require_own_server("Promoting a model")
            measured = _promote(context, config, CheckInputs(catalog, storage, settings))
        yield from run.materialized(None, {**_served(catalog.engine, settings), **measured})


def _promote(
    context: AssetExecutionContext, config: ServingModelConfig, inputs: CheckInputs
) -> Mapping[str, float]:
    """Promotes a model, and returns the measured recall of a model that has not served before."""
    from photolineage.upgrade.promote import (
        assess_former,
        assess_readiness,
        choose_candidate,
        has_served,
        promote,
    )

    engine, storage, settings = inputs.catalog.engine, inputs.storage, inputs.settings
    model_key = choose_candidate(engine, list(settings.models), config.model)
    former = has_served(engine, model_key)
    _require_contract(engine, storage, model_key, index_only=former)
    if former:
        readiness = assess_former(engine, storage.indexes, model_key)
    else:
        readiness = assess_readiness(
            engine, storage.embeddings, storage.indexes, model_key, settings.recall_bar
        )
    if not readiness.refusals:
        readiness = _with_pinned_searches(engine, settings, readiness, force=config.force)
    before = promote(engine, readiness)
    context.log.info(f"{model_key} is the serving model now (before: {before or 'none'})")
    for warning in readiness.warnings:
        context.log.warning(f"{model_key} serves, but {warning}")
    if readiness.recall is None:
        return {}
    return {"recall_at_10": readiness.recall.recall, "p50_ms": round(readiness.recall.p50_ms, 2)}


def _with_pinned_searches(
    engine: Engine, settings: Settings, readiness: "Readiness", *, force: bool
) -> "Readiness":
    """The readiness with the pinned searches that the model loses: reasons against it, or warnings with `force`."""
    from photolineage.pins.judging import judge_pins
    from photolineage.pins.wording import HOW_TO_LOSE, inability, losses, unchecked

    report = judge_pins(settings, engine, readiness.model_key)
    if report.serving_key is None:  # there is no other model that could find more
        return readiness
    if (unable := inability(report)) and not force:
        return replace(readiness, refusals=(*unable, "to promote the model all the same, set `force: true`"))
    lost = losses(report)
    warnings = (*readiness.warnings, *unchecked(report), *(lost if force else ()))
    refusals = (*lost, HOW_TO_LOSE) if lost and not force else ()
    return replace(readiness, refusals=refusals, warnings=warnings)


def _served(engine: Engine, settings: Settings) -> Mapping[str, str | int]:
    """The serving model, its coverage, and the way back."""
    from photolineage.models.registry import require_model
    from photolineage.upgrade.promote import count_coverage, former_model_key

    with reading(engine) as connection:
        serving = serving_model_key(connection)
        assert serving is not None
        embeddable, embedded = count_coverage(connection, require_model(connection, serving))
        former = former_model_key(connection)
    if former is None:
        way_back = "No other model has served."
    elif former in settings.models:
        way_back = f"To go back, launch the job promote_model with model: {former}"
    else:
        way_back = (
            f"{former} is not configured any more. To go back, add [models.{former}] again and promote it."
        )
    return {
        "model": serving,
        "previous_model": former or "none",
        "way_back": way_back,
        "images": embeddable,
        "not_embedded": embeddable - embedded,
    }


def _require_contract(engine: Engine, storage: StorageResource, model_key: str, *, index_only: bool) -> None:
    from photolineage.checks.stored_model import contract_violations, index_violations
    from photolineage.upgrade.promote import refusal

    with reading(engine) as connection:
        if index_only:
            found = index_violations(connection, storage.indexes, model_key)
        else:
            found = contract_violations(connection, storage.embeddings, storage.indexes, model_key)
    if found:
        more = [f"and {len(found) - LISTED_VIOLATIONS} more"] if len(found) > LISTED_VIOLATIONS else []
        raise refusal(model_key, [*found[:LISTED_VIOLATIONS], *more])
