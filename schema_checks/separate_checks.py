"""The checks that Dagster runs as steps of their own, for the runs in which Dagster skips those steps."""

from collections.abc import Iterator
from dataclasses import dataclass

from dagster import AssetCheckResult, DagsterInstance

from photolineage.lineage import AUTOMATIC_STEPS, SERVING_MODEL, Step
from schema_checks.evaluations import record_newest
from schema_checks.freshness import FRESHNESS_CHECK, freshness_in_run
from schema_checks.partition_checks import (
    PARTITION_CHECKS,
    SERVING_EVENTS_CHECK,
    CheckInputs,
    serving_events_result,
)


@dataclass(frozen=True, slots=True)
class SeparateChecks:
    """The separate checks of a step. Dagster skips them in a run of a range and in a failed run."""

    step: Step
    inputs: CheckInputs

    @property
    def partition_checks(self) -> tuple[str, ...]:
        """The names of the checks that are evaluated for each partition."""
        return tuple(check.name for check in PARTITION_CHECKS if check.step is self.step)

    @property
    def asset_checks(self) -> tuple[str, ...]:
        """The names of the checks that are evaluated for the asset as a whole."""
        if self.step is SERVING_MODEL:
            return (SERVING_EVENTS_CHECK,)
        return (FRESHNESS_CHECK,) if self.step in AUTOMATIC_STEPS else ()

    def of_partition(self, partition_key: str) -> Iterator[AssetCheckResult]:
        """The results of the checks of a partition."""
        for check in PARTITION_CHECKS:
            if check.step is self.step:
                yield check.result(self.inputs, partition_key)

    def of_asset(self, instance: DagsterInstance, run_id: str) -> Iterator[AssetCheckResult]:
        """The results of the checks of the asset as a whole, at the end of a run."""
        if self.step is SERVING_MODEL:
            result = serving_events_result(self.inputs.catalog)
            record_newest(instance, result, run_id)
            yield result
        elif self.step in AUTOMATIC_STEPS:
            yield from freshness_in_run(instance, run_id, self.inputs, [self.step])
