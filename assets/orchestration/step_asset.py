"""The decorator that turns a function into the asset of a step, with facts from the lineage's table and settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    FreshnessPolicy,
    asset,
    multi_asset,
)

from assets.orchestration.checked_run import CONTRACT_CHECK
from assets.orchestration.partitions import dependencies_of, lacking, partitions_of
from photolineage.lineage import LIBRARY_STATUS, Step
from photolineage.settings import Settings
from resources.own_server import warning

Materialize = Callable[..., Any]
NO_CHECKS: Mapping[str, str] = MappingProxyType({})
STATUS_LINK = f"The whole library on one page: [{LIBRARY_STATUS.name}](/assets/{LIBRARY_STATUS.name})."


def step_asset(
    step: Step,
    description: str,
    *,
    checks: Mapping[str, str] = NO_CHECKS,
    freshness_policy: FreshnessPolicy | None = None,
) -> Callable[[Materialize], Callable[[Settings], AssetsDefinition]]:
    """Turn the function that materializes a step into a function from the settings to the step's asset.

    `checks`: names and descriptions of the checks that the function makes before its first write, besides the
    contract. If the step `fails_alone`, one run may materialize several partitions, and the function records each.
    """

    def decorate(materialize: Materialize) -> Callable[[Settings], AssetsDefinition]:
        def make(settings: Settings) -> AssetsDefinition:
            facts: dict[str, Any] = {
                "deps": dependencies_of(step),
                "group_name": step.group,
                "kinds": set(step.kinds),
                "owners": list(settings.owners),
                "description": _described(step, description, settings),
                "freshness_policy": freshness_policy,
            }
            partitions = partitions_of(step, settings)
            if not step.fails_alone:
                made: AssetsDefinition = asset(
                    name=step.name,
                    partitions_def=partitions,
                    check_specs=_check_specs(step, checks, settings),
                    **facts,
                )(materialize)
                return made
            return multi_asset(
                name=step.name,
                specs=[AssetSpec(step.name, skippable=True, **facts)],
                partitions_def=partitions,
                check_specs=_check_specs(step, checks, settings),
                # Dagster puts assets with the same partitions and policy into one run, and skips those after an asset
                # that records a range of partitions.
                backfill_policy=BackfillPolicy.multi_run(
                    1 if step.on_request else settings.partitions_per_run
                ),
            )(materialize)

        return make

    return decorate


def _check_specs(step: Step, checks: Mapping[str, str], settings: Settings) -> list[AssetCheckSpec]:
    """The checks that an asset makes before its first write.

    They have the asset's partitions. Otherwise the Dagster UI would compare the result for one partition with the
    latest materialization of another partition, and show the check as not evaluated.
    """
    contract = {
        CONTRACT_CHECK: "The tables that this asset writes match the code. The check runs before the first write: "
        "if it fails, nothing was written."
    }
    return [
        AssetCheckSpec(
            name,
            asset=step.name,
            partitions_def=partitions_of(step, settings),
            blocking=True,
            description=description,
        )
        for name, description in ((contract if step.tables else {}) | dict(checks)).items()
    ]


def _described(step: Step, description: str, settings: Settings) -> str:
    """The description, after hints to a server without its guard, and to a source or a model that is lacking."""
    first = lacking(step, settings)
    hints = [hint for hint in (warning(), first and f"First: {first}") if hint is not None]
    link = [] if step is LIBRARY_STATUS else [STATUS_LINK]
    return "\n\n".join([*(f"**{hint}**" for hint in hints), description, *link])
