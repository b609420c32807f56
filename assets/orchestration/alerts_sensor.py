"""The sensor `alerts`: it reports each failed run and each failed check once to the configured receivers.

Each receiver has a queue of its own. An alert that it refuses is tried again, later and later, for about a day, while
newer alerts go out. Then the sensor gives it up, and its tick says so.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

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

from photolineage.alerts import (
    LISTED_CHECKS,
    REASON_LENGTH,
    TEXT_LENGTH,
    Alert,
    AlertNotDeliveredError,
    FailedCheck,
    Receiver,
    alert_receivers,
    short_text,
)
from photolineage.settings import Settings
from resources.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from resources.failures import failure_reason

RUNS_PER_TICK = 200
RECEIVER_SECONDS = 10
"""A tick begins no delivery to a receiver after this time. Dagster ends a tick after a minute."""
MOST_TRIES = 30
"""After so many tries, which take about a day, an alert is given up."""
MOST_WAITING = 100
"""A receiver with so many refused alerts gets no new ones: they stay in the event log until it works again."""
UNNAMED_JOB = "__ASSET_JOB"
"""What Dagster calls the job of a run that the Materialize button has launched. Nobody else knows the name."""
DEFAULT_UI = "http://127.0.0.1:3000"
ENDS: Final = (DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_SUCCESS)


@dataclass(slots=True)
class _Refused:
    """An alert that a receiver refused: how often, when to try again (seconds since 1970), and the last reason."""

    tries: int
    next_at: float
    reason: str


@dataclass(slots=True)
class _Told:
    """What a receiver has been told: the id of the last reported event of each type; by run id, what it refused."""

    positions: dict[str, int]
    refused: dict[str, _Refused]
    sent: int = 0
    given_up: list[str] = field(default_factory=list)

    @classmethod
    def beginning(cls, instance: DagsterInstance) -> "_Told":
        """Start at the newest events: a new receiver gets no alerts about earlier runs."""
        newest = {end.value: instance.fetch_run_status_changes(end, limit=1).records for end in ENDS}
        return cls({end: records[0].storage_id if records else -1 for end, records in newest.items()}, {})

    @classmethod
    def stored(cls, stored: Mapping[str, Any]) -> "_Told":
        refused = {run_id: _Refused(*values) for run_id, values in stored["refused"].items()}
        return cls(dict(stored["positions"]), refused)

    @property
    def to_store(self) -> dict[str, Any]:
        refused = {run_id: [one.tries, one.next_at, one.reason] for run_id, one in self.refused.items()}
        return {"positions": self.positions, "refused": refused}

    def deliver(self, name: str, receiver: Receiver, alert: Alert) -> None:
        """Deliver an alert, or note that it was refused and when to try again."""
        try:
            receiver(alert)
        except AlertNotDeliveredError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 (the other receivers and alerts go on; the message may be a secret)
            reason = f"{name}: {type(error).__name__}"
        else:
            self.sent += 1
            self.refused.pop(alert.id, None)
            return
        tries = self.refused[alert.id].tries + 1 if alert.id in self.refused else 1
        if tries < MOST_TRIES:
            self.refused[alert.id] = _Refused(tries, time.time() + _pause(tries), reason)
        else:
            del self.refused[alert.id]
            self.given_up.append(f"The alert about run {alert.id} is given up after {tries} tries: {reason}.")


def _pause(tries: int) -> float:
    """Seconds until the next try: none after the first, then a minute, twice as long each time, at most an hour."""
    return 0 if tries == 1 else min(60 * 2 ** (tries - 2), 3600)


def alerts_sensor(settings: Settings) -> SensorDefinition:
    """Sends each receiver an alert for each run that failed or has a failed check; retries alerts that it refused."""

    @sensor(
        name="alerts",
        minimum_interval_seconds=settings.sensor_seconds,
        default_status=DefaultSensorStatus.RUNNING
        if settings.alerts.configured
        else DefaultSensorStatus.STOPPED,
        description="Sends one alert for each run that failed or has failed checks, to a webhook or a command "
        "(alerts.webhook, alerts.command in photolineage.toml). An alert that a receiver refuses is tried again "
        "for about a day; until then the ticks say why.",
    )
    def alerts(
        context: SensorEvaluationContext, settings: ResourceParam[Settings]
    ) -> SensorResult | SkipReason:
        receivers = alert_receivers(settings.alerts)
        if not receivers:
            return SkipReason(
                "No receiver is configured: set alerts.webhook or alerts.command in photolineage.toml."
            )
        before = json.loads(context.cursor) if context.cursor else {}
        told = {
            name: _Told.stored(before[name]) if name in before else _Told.beginning(context.instance)
            for name in receivers
        }
        for name, receiver in receivers.items():
            _tell(context.instance, told[name], name, receiver, settings.alerts.ui or DEFAULT_UI)
        after = {name: one.to_store for name, one in told.items()}
        waiting = [_waiting(one) for one in told.values() if one.refused]
        if waiting and after == before:
            raise AlertNotDeliveredError(" ".join(waiting))
        given_up = [sentence for one in told.values() for sentence in one.given_up]
        sent = sum(one.sent for one in told.values())
        said = " ".join([f"{sent} alerts were sent.", *waiting, *given_up])
        return SensorResult(skip_reason=SkipReason(said), cursor=json.dumps(after))

    return alerts


def _waiting(told: _Told) -> str:
    reason = max(told.refused.values(), key=lambda one: one.next_at).reason
    return f"{len(told.refused)} alerts wait and are tried again: {reason}."


def _tell(instance: DagsterInstance, told: _Told, name: str, receiver: Receiver, ui: str) -> None:
    """Tell a receiver of the runs that have ended since, and then again what it refused earlier."""
    last_begin = time.monotonic() + RECEIVER_SECONDS
    due = [run_id for run_id, one in told.refused.items() if one.next_at <= time.time()]
    for end in ENDS:
        records = instance.fetch_run_status_changes(
            RunStatusChangeRecordsFilter(end, after_storage_id=told.positions[end.value]),
            limit=RUNS_PER_TICK,
            ascending=True,
        ).records
        for record in records:
            if time.monotonic() > last_begin or len(told.refused) >= MOST_WAITING:
                break
            run = instance.get_run_by_id(record.event_log_entry.run_id)
            alert = None if run is None else find_alert(instance, run, ui)
            if alert is not None:
                told.deliver(name, receiver, alert)
            told.positions[end.value] = record.storage_id
    for run_id in sorted(due, key=lambda run_id: told.refused[run_id].next_at):
        if time.monotonic() > last_begin:
            break
        run = instance.get_run_by_id(run_id)
        alert = None if run is None else find_alert(instance, run, ui)
        if alert is None:
            del told.refused[run_id]  # the run was deleted
        else:
            told.deliver(name, receiver, alert)


def find_alert(instance: DagsterInstance, run: DagsterRun, ui: str) -> Alert | None:
    """The alert about a run that has ended; None if it succeeded and all its checks passed."""
    checks = _failed_checks(instance, run, ui)
    if run.is_success and not checks:
        return None
    partition = _partition(run.tags)
    assets = _assets(instance, run)
    name = ", ".join(assets) or run.job_name
    subject = f"{name} {partition}" if partition else name
    link = f"{ui}/runs/{run.run_id}"
    reason = "" if run.is_success else short_text(_reason(instance, run), REASON_LENGTH)
    lines = [f"{subject}: {reason}" if reason else f"{subject}: {len(checks)} failed checks"]
    lines += [f"{check.asset}: {check.check}: {check.description} {check.link}" for check in checks]
    return Alert(
        id=run.run_id,
        text=f"{short_text(chr(10).join(lines), TEXT_LENGTH)}\n{link}",
        job=name if run.job_name.startswith(UNNAMED_JOB) else run.job_name,
        assets=assets,
        partition=partition,
        run_failed=not run.is_success,
        reason=reason,
        link=link,
        checks=checks[:LISTED_CHECKS],
    )


def _assets(instance: DagsterInstance, run: DagsterRun) -> list[str]:
    """The assets of a run: those that it was launched for, or else those that its plan names."""
    keys = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    if not keys:
        planned = {
            DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
            DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
        }
        events = (entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=planned))
        keys = {event.asset_key for event in events if event is not None and event.asset_key is not None}
    return sorted(key.to_user_string() for key in keys)


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
        description=short_text(evaluation.description or "failed", REASON_LENGTH),
        link=f"{ui}/assets/{asset}?view=checks&checkDetail={evaluation.check_name}",
    )


def _partition(tags: Mapping[str, str]) -> str | None:
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG)
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG)
    if first is not None and last is not None and first != last:
        return f"{first} … {last}"
    return tags.get(PARTITION_NAME_TAG) or first
