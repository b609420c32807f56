"""Send an alert to the webhook or the command that the settings name."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from http.client import responses
from urllib.parse import urlsplit

from photolineage.errors import PhotolineageError
from photolineage.plain_text import printable
from photolineage.settings import AlertSettings

WEBHOOK_SECONDS = 10
"""The whole time that a webhook has: to find its host, to connect, and to answer."""
COMMAND_SECONDS = 15
OWN_PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONSAFEPATH")

TEXT_LENGTH = 4_000
REASON_LENGTH = 1_000
LISTED_CHECKS = 20
"""Longer texts are cut, and further checks are only counted: a receiver refuses what is too long."""


class AlertNotDeliveredError(PhotolineageError):
    """An alert was not delivered. The message names the setting and the reason, and shows no secret."""


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
    """What went wrong in one run. `id` is the run's id: a receiver that gets an alert twice recognizes it by the id.

    `job`: the job's name; the assets, if the run was launched by the Materialize button.
    """

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
        receivers["alerts.webhook"] = partial(_post, settings.webhook.get_secret_value())
    if settings.command:
        receivers["alerts.command"] = partial(_execute, settings.command)
    return receivers


def short_text(text: str, length: int) -> str:
    """The text with its line breaks, without other control characters, and cut to a length."""
    safe = "\n".join(printable(line) for line in text.splitlines())
    return safe if len(safe) <= length else f"{safe[: length - 1]}…"


def _post(address: str, alert: Alert) -> None:
    import httpx2

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs the whole address of every request
    loop = asyncio.new_event_loop()
    try:
        status = loop.run_until_complete(_status_of_post(address, _json(alert)))
        if 200 <= status < 300:
            return
        reason = f"the webhook answered {status} {responses.get(status, '')}".rstrip()
        if 300 <= status < 400:
            reason += ". Redirects are not followed: set the address that takes alerts itself"
    except TimeoutError:
        reason = f"the webhook did not answer within {WEBHOOK_SECONDS} s"
    except httpx2.ConnectError as error:
        reason = f"cannot connect: {error}"
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        # Its message may repeat what a server that echoes requests has sent back: the address.
        reason = f"the webhook gave no valid answer ({type(error).__name__})"
    finally:
        loop.close()  # without waiting for the thread that may still be looking up the host
    raise AlertNotDeliveredError(f"alerts.webhook ({_shown_host(address)}): {reason}") from None


async def _status_of_post(address: str, body: bytes) -> int:
    """The status of the answer. Its body is not read."""
    from httpx2 import AsyncClient

    async with (
        asyncio.timeout(WEBHOOK_SECONDS),
        AsyncClient(timeout=None, follow_redirects=False) as client,
        client.stream("POST", address, content=body, headers={"content-type": "application/json"}) as answer,
    ):
        return answer.status_code


def _shown_host(address: str) -> str:
    """The host of a webhook. The rest of such an address is often a secret."""
    return urlsplit(address).hostname or ""


def _execute(command: Sequence[str], alert: Alert) -> None:
    # The UI sets these for its own processes; a program of the user's imports what it imports everywhere else.
    environment = {name: value for name, value in os.environ.items() if name not in OWN_PYTHON_VARIABLES}
    # Files and not pipes: a program may leave a process behind that holds a pipe open.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(_json(alert))
        given.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 (the user's own command)
                [*command, alert.text],
                stdin=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise _not_delivered(command, getattr(error, "strerror", None) or str(error)) from None
        try:
            status = process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise _not_delivered(command, f"the command did not end within {COMMAND_SECONDS} s") from None
        if status:
            said.seek(max(0, said.seek(0, os.SEEK_END) - 500))
            output = (
                short_text(said.read().decode(errors="replace"), REASON_LENGTH).strip()
                or "without an error message"
            )
            raise _not_delivered(command, f"the command ended with status {status}: {output}")


def _not_delivered(command: Sequence[str], reason: str) -> AlertNotDeliveredError:
    """The error names only the program: its arguments may contain a secret."""
    return AlertNotDeliveredError(f"alerts.command ({command[0]!r}): {reason}")


def _json(alert: Alert) -> bytes:
    return json.dumps(asdict(alert)).encode()
