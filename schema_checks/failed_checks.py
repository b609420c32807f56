"""The checks whose newest result is a failure, for a page that links to them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dagster import AssetCheckEvaluation, AssetCheckKey, DagsterInstance

from photolineage.plain_text import markdown_code, printable
from resources.dagster_internals import AssetCheckExecutionRecordStatus

FAILED = frozenset({AssetCheckExecutionRecordStatus.FAILED})


def find_failed_checks(
    instance: DagsterInstance, keys: Sequence[AssetCheckKey], shown_text: int
) -> Iterator[str]:
    """Each failed check as an item of a Markdown list: a link to it, how many partitions failed, and one reason."""
    infos = instance.event_log_storage.get_asset_check_partition_info(list(keys))
    failed = Counter(info.check_key for info in infos if info.latest_execution_status in FAILED)
    for key in keys:
        if failed[key]:
            asset = key.asset_key.to_user_string()
            address = f"/assets/{asset}?view=checks&checkDetail={key.name}"
            of = f" in {failed[key]:,} partitions" if failed[key] > 1 else ""
            reason = printable(_reason(instance, key))[:shown_text]
            yield f"- [{key.name} of {asset}]({address}) failed{of}: {markdown_code(reason)}"


def _reason(instance: DagsterInstance, key: AssetCheckKey) -> str:
    """The description of the newest failed result."""
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=FAILED)
    evaluation: object = records[0].evaluation if records else None
    return str(evaluation.description) if isinstance(evaluation, AssetCheckEvaluation) else ""
