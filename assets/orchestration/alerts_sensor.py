"""The sensor `alerts`: it reports each failed run and each failed check once to the configured receivers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DefaultSensorStatus,
    ResourceParam,
    RunStatusChangeRecordsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from photolineage.alerts import Alert, AlertNotDeliveredError, FailedCheck, Receiver, alert_receivers
from photolineage.settings import Settings
from resources.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from resources.failures import failure_reason

RUNS_PER_TICK = 200
DEFAULT_UI = "http://127.0.0.1:3000"
ENDS: Final = (DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS)


@dataclass(slots=True)
class _Told:
    """The last reported event of each receiver: the id of its record, by receiver and by type of event."""

    positions: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "_Told":
        return cls(json.loads(cursor) if cursor else {})

    @property
    def cursor(self) -> str:
        return json.dumps(self.positions)

    def begin(self, receiver: str, instance: DagsterInstance) -> None:
        """Start at the newest events: a new receiver gets no alerts about earlier runs."""
        self.positions[receiver] = {
            end.value: records[0].storage_id
            if (records := instance.fetch_run_status_changes(end, limit=1).records)
            else -1
            for end in ENDS
        }


def alerts_sensor(settings: Settings) -> SensorDefinition:
    """Sends each receiver an alert for each run that failed or has a failed check; retries alerts that it refused."""

    @sensor(
        name="alerts",
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=DefaultSensorStatus.RUNNING
        if settings.alerts.configured
        else DefaultSensorStatus.STOPPED,
        description="Sends one alert for each run that failed or has failed checks, to a webhook or a command "
        "(`alerts.webhook`, `alerts.command` in photolineage.toml). While a receiver is down, the ticks fail and say "
        "why; the alerts are sent when it is back.",
    )
    def alerts(
        context: SensorEvaluationContext, settings: ResourceParam[Settings]
    ) -> SensorResult | SkipReason:
        receivers = alert_receivers(settings.alerts)
        if not receivers:
            return SkipReason(
                "No receiver is configured: set alerts.webhook or alerts.command in photolineage.toml."
            )
        told = _Told.from_cursor(context.cursor)
        before = told.cursor
        refusals, count = [], 0
        for name, receiver in receivers.items():
            if name not in told.positions:
                told.begin(name, context.instance)
            try:
                for _ in _tell(
                    context.instance, told.positions[name], receiver, settings.alerts.ui or DEFAULT_UI
                ):
                    count += 1
            except AlertNotDeliveredError as error:
                refusals.append(str(error))
        if refusals and told.cursor == before:
            raise AlertNotDeliveredError("; ".join(refusals) + ". Every tick tries again.")
        waiting = f" The others are tried again at the next tick: {'; '.join(refusals)}." if refusals else ""
        return SensorResult(skip_reason=SkipReason(f"{count} alerts were sent.{waiting}"), cursor=told.cursor)

    return alerts


def _tell(
    instance: DagsterInstance, position: dict[str, int], receiver: Receiver, ui: str
) -> Iterator[Alert]:
    """Sends and yields the new alerts, and advances `position`. Raises AlertNotDeliveredError at the first refusal."""
    for end in ENDS:
        records = instance.fetch_run_status_changes(
            RunStatusChangeRecordsFilter(end, after_storage_id=position[end.value]),
            limit=RUNS_PER_TICK,
            ascending=True,
        ).records
        for record in records:
            run = instance.get_run_by_id(record.event_log_entry.run_id)
            alert = None if run is None else find_alert(instance, run, ui)
            if alert is not None:
                receiver(alert)
                yield alert
            position[end.value] = record.storage_id


def find_alert(instance: DagsterInstance, run: DagsterRun, ui: str) -> Alert | None:
    """The alert about a run that has ended; None if it succeeded and all its checks passed."""
    checks = _failed_checks(instance, run, ui)
    if run.is_success and not checks:
        return None
    partition = _partition(run.tags)
    assets = sorted(key.to_user_string() for key in run.asset_selection or ())
    subject = " ".join(
        filter(None, [", ".join(assets) or run.job_name.removeprefix("materialize_"), partition])
    )
    link = f"{ui}/runs/{run.run_id}"
    reason = "" if run.is_success else _reason(instance, run)
    lines = [f"{subject}: {reason}" if reason else f"{subject}: {len(checks)} failed checks"]
    lines += [f"{check.asset}: {check.check}: {check.description} {check.link}" for check in checks]
    return Alert(
        id=run.run_id,
        text="\n".join([*lines, link]),
        job=run.job_name,
        assets=assets,
        partition=partition,
        run_failed=not run.is_success,
        reason=reason,
        link=link,
        checks=checks,
    )


def _reason(instance: DagsterInstance, run: DagsterRun) -> str:
    failures = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    events = (entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=failures))
    reason = failure_reason(event for event in events if event is not None) or "failed"
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return f"{reason} It is started again automatically."
    return reason


def _failed_checks(instance: DagsterInstance, run: DagsterRun, ui: str) -> list[FailedCheck]:
    entries = instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [
        entry.dagster_event.asset_check_evaluation_data
        for entry in entries
        if entry.dagster_event is not None
    ]
    return [
        _failed_check(evaluation, run, ui)
        for evaluation in evaluations
        if not evaluation.passed and evaluation.severity == AssetCheckSeverity.ERROR
    ]


def _failed_check(evaluation: AssetCheckEvaluation, run: DagsterRun, ui: str) -> FailedCheck:
    asset = evaluation.asset_key.to_user_string()
    return FailedCheck(
        asset=asset,
        check=evaluation.check_name,
        partition=evaluation.partition or _partition(run.tags),
        description=evaluation.description or "failed",
        link=f"{ui}/assets/{asset}?view=checks&checkDetail={evaluation.check_name}",
    )


def _partition(tags: Mapping[str, str]) -> str | None:
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG)
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG)
    if first is not None and last is not None and first != last:
        return f"{first} … {last}"
    return tags.get(PARTITION_NAME_TAG) or first
