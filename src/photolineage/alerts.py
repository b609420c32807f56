"""Send an alert to the webhook or the command that the settings name."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from photolineage.errors import PhotolineageError
from photolineage.settings import AlertSettings

WEBHOOK_TIMEOUT_SECONDS = 10
OWN_PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONSAFEPATH")
COMMAND_TIMEOUT_SECONDS = 30


class AlertNotDeliveredError(PhotolineageError):
    """An alert was not delivered. The message names the setting, its value and the reason."""


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that failed. `partition` is None for a check of an asset without partitions."""

    asset: str
    check: str
    partition: str | None
    description: str
    link: str


@dataclass(frozen=True, slots=True)
class Alert:
    """What went wrong in one run. `id` is the run's id: a receiver that gets an alert twice recognizes it by the id."""

    id: str
    text: str
    job: str
    assets: Sequence[str]
    partition: str | None
    run_failed: bool
    reason: str
    link: str
    checks: Sequence[FailedCheck]


Receiver = Callable[[Alert], None]
"""Delivers an alert, or raises AlertNotDeliveredError."""


def alert_receivers(settings: AlertSettings) -> Mapping[str, Receiver]:
    """The configured receivers by the names of their settings, such as `alerts.webhook`."""
    receivers: dict[str, Receiver] = {}
    if settings.webhook is not None:
        receivers["alerts.webhook"] = partial(_post, settings.webhook)
    if settings.command:
        receivers["alerts.command"] = partial(_execute, settings.command)
    return receivers


def _post(address: str, alert: Alert) -> None:
    request = urllib.request.Request(  # noqa: S310 (the settings allow only http and https)
        address, data=_json(alert), headers={"content-type": "application/json"}
    )
    try:
        urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        raise AlertNotDeliveredError(
            f"alerts.webhook = {address!r}: the webhook answered {error.code} {error.reason}"
        ) from error
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise AlertNotDeliveredError(f"alerts.webhook = {address!r}: {reason}") from error


def _execute(command: Sequence[str], alert: Alert) -> None:
    named = f"alerts.command = {list(command)!r}"
    # The UI sets these for its own processes; a program of the user's imports what it imports everywhere else.
    environment = {name: value for name, value in os.environ.items() if name not in OWN_PYTHON_VARIABLES}
    try:
        ended = subprocess.run(  # noqa: S603 (the user's own command)
            [*command, alert.text],
            input=_json(alert),
            env=environment,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AlertNotDeliveredError(
            f"{named}: the command did not end within {COMMAND_TIMEOUT_SECONDS} s"
        ) from error
    except OSError as error:
        raise AlertNotDeliveredError(f"{named}: {error.strerror or error}") from error
    if ended.returncode:
        said = (ended.stderr or ended.stdout).decode(errors="replace").strip()[-500:]
        raise AlertNotDeliveredError(
            f"{named}: the command ended with status {ended.returncode}: {said or 'without an error message'}"
        )


def _json(alert: Alert) -> bytes:
    return json.dumps(asdict(alert), ensure_ascii=False).encode()
