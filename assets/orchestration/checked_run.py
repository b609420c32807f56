"""A run of an asset: the contract is checked first, and each partition is recorded with its checks when it is done."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetMaterialization,
    DagsterExecutionInterruptedError,
    DataVersion,
    Failure,
    MaterializeResult,
    Output,
)

from assets.orchestration.data_versions import DATA_VERSION_TAG, data_version, input_tags
from assets.orchestration.partitions import lacking
from assets.orchestration.running import reported_failures, warn_of_plain_server
from photolineage.catalog.engine import reading
from photolineage.catalog.refusals import require_address_space
from photolineage.lineage import Step
from photolineage.plain_text import without_links
from resources.failures import ExplainedError, StoppedError, reported
from schema_checks.evaluations import NOT_EVALUATED, evaluation
from schema_checks.partition_checks import CheckInputs
from schema_checks.separate_checks import SeparateChecks

CONTRACT_CHECK = "catalog_contract"
CONTINUE = "; materialize again to continue"
"""The end of the message of a run that somebody has ended."""

Recorded = MaterializeResult[None] | Output[None]
"""What an asset yields: its partitions, and in a run of a range that its own checks were evaluated."""


class CheckedRun:
    """The partitions of one run, and their checks. Every check is evaluated for every partition.

    In a run of one partition, Dagster evaluates the separate checks after the asset's output. A run of a range records
    each partition when it is done, so that a kill loses only the others, and yields no output. Dagster then skips the
    separate checks, so the run evaluates them itself, also for a range of one. A partition that failed has evaluations
    too: they say why the check was not evaluated.
    """

    def __init__(
        self,
        context: AssetExecutionContext,
        step: Step,
        contract: AssetCheckResult,
        separate: SeparateChecks,
    ) -> None:
        self._context = context
        self._step = step
        self._contract = contract
        self._separate = separate
        self._own = [spec.name for spec in context.assets_def.check_specs]
        self._of_range = context.has_partition_key_range and not context.has_partition_key
        partitioned = context.has_partition_key or self._of_range
        self._keys: Sequence[str | None] = list(context.partition_keys) if partitioned else [None]
        self._evaluated: set[tuple[str | None, str]] = set()
        self._reasons: dict[str, list[str]] = {}
        self._input_tags = input_tags(context.instance, step, context.run.run_id) if self._of_range else {}

    def materialized(
        self,
        partition_key: str | None,
        metadata: Mapping[str, Any],
        checks: Sequence[AssetCheckResult] = (),
    ) -> Iterator[MaterializeResult[None]]:
        """Records a partition as materialized, then the results of the asset's own checks of it.

        `checks`: results besides the contract's.
        """
        results = [self._contract, *checks]
        version = self._data_version(partition_key)
        if not self._of_range:
            self._evaluated |= {(partition_key, str(result.check_name)) for result in results}
            yield MaterializeResult(
                asset_key=self._step.name,
                metadata=metadata,
                check_results=results,
                data_version=None if version is None else DataVersion(version),
            )
            return
        tags = self._input_tags | ({} if version is None else {DATA_VERSION_TAG: version})
        self._context.log_event(
            AssetMaterialization(self._step.name, partition=partition_key, metadata=metadata, tags=tags)
        )
        for result in (*results, *self._separate.of_partition(str(partition_key))):
            self.evaluate(result, partition_key)

    def _data_version(self, partition_key: str | None) -> str | None:
        if partition_key is None:
            return None
        with reading(self._separate.inputs.catalog.engine) as connection:
            return data_version(connection, self._step, partition_key)

    def evaluate(self, result: AssetCheckResult, partition_key: str | None) -> None:
        """Records the result of a check of a partition, compared with the partition's latest materialization."""
        name = str(result.check_name)
        self._evaluated.add((partition_key, name))
        self._context.log_event(
            evaluation(
                self._context.instance, self._step.name, result, partition_key, blocking=name in self._own
            )
        )

    @contextmanager
    def kept(self, partition_keys: Sequence[str]) -> Iterator[None]:
        """Keeps an error that the block raises as the failure of these partitions; the other partitions go on.

        An interruption ends the run at once. All other errors fail the run at its end.
        """
        try:
            with reported_failures():
                yield
        except Exception as error:
            if not self._of_range:
                raise
            # Keep only the text of an error: its traceback would keep the model in memory.
            reason = _reason(error)
            self.failed(partition_keys, reason)
            self._reasons.setdefault(reason, []).extend(partition_keys)
            self._context.log.error(f"{', '.join(partition_keys)}: {reason}", exc_info=error)

    def end(self) -> Iterator[Output[None]]:
        """Evaluates the check of the whole asset; raises a Failure that lists the failed partitions and the reasons."""
        if not self._of_range:
            return
        self._evaluate_asset()
        if self._reasons:
            failed, partitions = sum(map(len, self._reasons.values())), len(self._keys)
            others = "The other partitions are materialized." if failed < partitions else ""
            reasons = "\n".join(f"- {', '.join(keys)}: {reason}" for reason, keys in self._reasons.items())
            raise ExplainedError(
                f"{failed} of {partitions} partitions failed. {others}\n{reasons}",
                {"failed_partitions": failed},
            )
        for key in self._context.selected_asset_check_keys:
            yield Output(None, self._context.assets_def.get_output_name_for_asset_check_key(key))

    def refuse(self) -> None:
        """Records for every partition that the contract does not hold, and that nothing else was checked."""
        for key in self._keys:
            self.evaluate(self._contract, key)
            self._not_evaluated(key, f"the check {CONTRACT_CHECK} failed.")
        for name in self._separate.asset_checks:
            self.evaluate(_not_evaluated(name, f"the check {CONTRACT_CHECK} failed."), None)

    def failed(self, partition_keys: Sequence[str | None], reason: str) -> None:
        """Records for partitions that were not materialized which checks were not evaluated, and why."""
        for key in partition_keys:
            if (key, CONTRACT_CHECK) not in self._evaluated:
                self.evaluate(self._contract, key)
            self._not_evaluated(key, f"the partition was not materialized: {reason}")

    def ended_early(self, reason: str) -> None:
        """Records the checks of a run that an error or a person ended. An error may have broken what they read."""
        try:
            self.failed(self._keys, reason)
            self._evaluate_asset()
        except Exception as second:
            self._context.log.error(f"cannot evaluate the checks: {_reason(second)}", exc_info=second)

    def _evaluate_asset(self) -> None:
        if not self._evaluated.issuperset((None, name) for name in self._separate.asset_checks):
            for result in self._separate.of_asset(self._context.instance, self._context.run.run_id):
                self.evaluate(result, None)

    def _not_evaluated(self, partition_key: str | None, reason: str) -> None:
        for name in (*self._own, *self._separate.partition_checks):
            if (partition_key, name) not in self._evaluated:
                self.evaluate(_not_evaluated(name, reason), partition_key)


@contextmanager
def checked_run(context: AssetExecutionContext, step: Step, inputs: CheckInputs) -> Iterator[CheckedRun]:
    """A run of a step whose contract holds. Raises Failure before the first write if it does not.

    The first failure of a new library says what to configure or to materialize first.
    """
    from photolineage.checks.catalog_contract import contract_report
    from photolineage.contract.dagster_checks import difference_table
    from schema_checks.check_metadata import contract_result

    warn_of_plain_server(context)
    if (first := lacking(step, inputs.settings)) is not None:
        raise ExplainedError(f"{first[0].upper()}{first[1:]}")
    with reported():
        require_address_space()
        report = contract_report(inputs.catalog.engine, step.tables)
    contract = contract_result(report, step.name, CONTRACT_CHECK)
    run = CheckedRun(context, step, contract, SeparateChecks(step, inputs))
    if not report.holds:
        run.refuse()
        raise ExplainedError(
            f"{report.summary} Nothing was written.", {"differences": difference_table(report.drifts)}
        )
    try:
        with reported_failures():
            yield run
    except DagsterExecutionInterruptedError as interruption:
        run.ended_early("the run was ended.")
        raise StoppedError(f"{str(interruption) or 'stopped'}{CONTINUE}") from None
    except Exception as error:
        run.ended_early(_reason(error))
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, Failure) and error.description:
        return error.description
    return f"{type(error).__name__}: {error}"


def _not_evaluated(check: str, reason: str) -> AssetCheckResult:
    return AssetCheckResult(
        check_name=check,
        passed=False,
        severity=AssetCheckSeverity.WARN,
        description=without_links(f"{NOT_EVALUATED}{reason}"),
    )
