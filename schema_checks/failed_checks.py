"""The checks whose newest result is a failure, for a page that links to them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dagster import AssetCheckEvaluation, AssetCheckKey, DagsterInstance

from photolineage.plain_text import cell_code, printable
from resources.dagster_internals import AssetCheckExecutionRecordStatus, PartitionKeyFilter
from schema_checks.evaluations import NOT_EVALUATED

PASSED = AssetCheckExecutionRecordStatus.SUCCEEDED
WITH_RESULT = frozenset({PASSED, AssetCheckExecutionRecordStatus.FAILED})
LOOKED_AT = 20
"""Of each check, so many partitions that may have failed are looked at."""


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check whose newest result is a failure, for `partitions` (None: the whole asset). `reason`: of the first."""

    key: AssetCheckKey
    partitions: tuple[str | None, ...]
    reason: str

    def as_row(self, shown_text: int) -> str:
        """A row of a Markdown table: a link to the check, which partitions failed, and the reason."""
        asset = self.key.asset_key.to_user_string()
        link = f"[{self.key.name} of {asset}](/assets/{asset}?view=checks&checkDetail={self.key.name})"
        count = len(self.partitions)
        where = f"{'at least ' * (count == LOOKED_AT)}{count} partitions" if count > 1 else self.partitions[0]
        return f"| {link} | {cell_code(where or '–')} | {cell_code(printable(self.reason)[:shown_text])} |"


def find_failed_checks(
    instance: DagsterInstance, keys: Sequence[AssetCheckKey], is_known: Callable[[str], bool]
) -> Iterator[FailedCheck]:
    """The failed checks among these. A check that was not evaluated has not failed: what kept it from it has.

    A run that waits or was killed hides no earlier failure. Results of partitions that are no longer known are left
    out, and those of all partitions at once, as each partition has its own.
    """
    candidates: dict[AssetCheckKey, list[str | None]] = defaultdict(list)
    partitioned = set()
    for info in instance.event_log_storage.get_asset_check_partition_info(list(keys)):
        if info.partition_key is not None:
            partitioned.add(info.check_key)
            if not is_known(info.partition_key):
                continue
        if info.latest_execution_status is not PASSED:
            candidates[info.check_key].append(info.partition_key)
    for key, partitions in candidates.items():
        asked = [one for one in partitions if one is not None or key not in partitioned]
        failed = {
            partition: reason
            for partition in asked[:LOOKED_AT]
            if (reason := _failure(instance, key, partition)) is not None
        }
        if failed:
            yield FailedCheck(key, tuple(failed), next(iter(failed.values())))


def _failure(instance: DagsterInstance, key: AssetCheckKey, partition: str | None) -> str | None:
    """The description of the newest result if it is a failure; None if the check passed or was never evaluated."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=WITH_RESULT, partition_filter=PartitionKeyFilter(key=partition)
    )
    evaluation: object = records[0].evaluation if records else None
    if not isinstance(evaluation, AssetCheckEvaluation) or evaluation.passed:
        return None
    description = str(evaluation.description or "")
    return None if description.startswith(NOT_EVALUATED) else description
