"""The checks whose newest result is a failure, for a page that links to them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from dagster import AssetCheckEvaluation, AssetCheckKey, DagsterInstance

from photolineage.plain_text import markdown_code, printable
from resources.dagster_internals import AssetCheckExecutionRecordStatus

FAILED = frozenset({AssetCheckExecutionRecordStatus.FAILED})


def find_failed_checks(
    instance: DagsterInstance, keys: Sequence[AssetCheckKey], shown_text: int
) -> Iterator[str]:
    """Each failed check as a row of a Markdown table: a link to it, which partitions failed, and one reason."""
    infos = instance.event_log_storage.get_asset_check_partition_info(list(keys))
    failed: dict[AssetCheckKey, list[str]] = defaultdict(list)
    for info in infos:
        if info.latest_execution_status in FAILED:
            failed[info.check_key].append(info.partition_key or "")
    for key, partitions in failed.items():
        asset = key.asset_key.to_user_string()
        link = f"[{key.name} of {asset}](/assets/{asset}?view=checks&checkDetail={key.name})"
        where = f"{len(partitions):,} partitions" if len(partitions) > 1 else partitions[0]
        reason = printable(_reason(instance, key))[:shown_text]
        yield f"| {link} | {markdown_code(where or '–')} | {markdown_code(reason)} |"


def _reason(instance: DagsterInstance, key: AssetCheckKey) -> str:
    """The description of the newest failed result."""
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=FAILED)
    evaluation: object = records[0].evaluation if records else None
    return str(evaluation.description) if isinstance(evaluation, AssetCheckEvaluation) else ""
