"""The Dagster UI behind a guard that blocks requests from the web pages of other sites.

Dagster's own web server answers any page that a browser on this machine opens: it runs mutations sent by GET, and does
not check the Host and Origin headers. `photolineage ui` puts `SameOriginGuard` in front of it.
`python -m assets.orchestration.guarded_ui dev …` is `dagster dev` with this guarded web server.
"""

import os
import socket
import sys
import warnings
from collections.abc import Collection
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from dagster import SupersessionWarning

from resources.dagster_internals import dev_command_module
from resources.own_server import mark_own_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS_VARIABLE = "PHOTOLINEAGE_UI_HOSTS"
"""The allowed values of the Host header, separated by spaces."""
REMOTE_VARIABLE = "PHOTOLINEAGE_UI_REMOTE"
"""1 if other machines may use the UI."""

MODULE = "assets.orchestration.guarded_ui"
READING = frozenset({"GET", "HEAD"})


class SameOriginGuard:
    """An ASGI application in front of another one. It refuses, with 403, whatever another site's page may have sent.

    - The Host header names this machine (`localhost`, a loopback address, at any port) or one of `hosts`. A name of
      somebody else's that resolves to this machine does not help. With `remote`, any IP address and the machine's own
      name will do: a page of another site has a name of its own.
    - An Origin header, if there is one, is the Host, or one of `hosts`. A WebSocket needs one.
    - GET and HEAD carry no GraphQL query, so they only read. Everything else is a JSON body: a browser sends one to
      another site only after that site has agreed, and this one never does.
    """

    def __init__(self, application: "ASGIApp", hosts: Collection[str], *, remote: bool = False) -> None:
        self._application = application
        self._hosts = frozenset(host.lower() for host in hosts)
        self._remote = remote

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass the request on, or refuse it with the reason."""
        if scope["type"] in {"http", "websocket"}:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            reason = self._why_refused(scope, headers)
            if reason is not None:
                await _refuse(scope, receive, send, reason)
                return
        await self._application(scope, receive, send)

    def _why_refused(self, scope: "Scope", headers: dict[str, str]) -> str | None:
        host = headers.get("host", "").lower()
        if not self._is_own(host):
            return (
                f"the host {host!r} is not this machine. If it is the address of your proxy, set it as alerts.ui; if "
                "it is a name of this machine, use its IP address and start the UI with --allow-remote"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self._hosts | {host}:
            return f"the page comes from {origin!r}"
        if scope["type"] == "websocket":
            return None if origin is not None else "a WebSocket needs an Origin"
        if scope["method"] in READING:
            names = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            return "a query in the address; send it as JSON by POST" if "query" in names else None
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return None if kind == "application/json" else f"the content type {kind!r} is not application/json"

    def _is_own(self, host: str) -> bool:
        if host in self._hosts:
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            address = ip_address(name)
        except ValueError:
            return name == "localhost" or (self._remote and name == socket.gethostname().lower())
        return self._remote or address.is_loopback


async def _refuse(scope: "Scope", receive: "Receive", send: "Send", reason: str) -> None:
    from starlette.responses import PlainTextResponse
    from starlette.websockets import WebSocketClose

    if scope["type"] == "websocket":
        await WebSocketClose(code=1008, reason="not allowed")(scope, receive, send)
        return
    await PlainTextResponse(f"Refused: {reason}.", status_code=403)(scope, receive, send)


def serve_guarded(arguments: list[str]) -> None:
    """Run dagster-webserver with these arguments, behind the guard."""
    from dagster_webserver import cli

    create_application: Any = cli.create_app_from_workspace_process_context  # type: ignore[attr-defined]

    def create_guarded(*given: Any, **named: Any) -> SameOriginGuard:
        return SameOriginGuard(
            create_application(*given, **named),
            os.environ[HOSTS_VARIABLE].split(),
            remote=os.environ[REMOTE_VARIABLE] == "1",
        )

    vars(cli)["create_app_from_workspace_process_context"] = create_guarded
    cli.cli(arguments)


def run_dev(arguments: list[str]) -> None:
    """Run `dagster dev` with these arguments and the guarded web server."""
    dev = dev_command_module()
    open_subprocess: Any = vars(dev)["open_ipc_subprocess"]

    def open_guarded(command: list[str], **options: Any) -> Any:
        if command[1:3] == ["-m", "dagster_webserver"]:
            command = [command[0], "-m", MODULE, "webserver", *command[3:]]
        elif any("dagster_webserver" in argument or "dagster-webserver" in argument for argument in command):
            raise RuntimeError(f"this release of Dagster starts its web server in another way: {command}")
        return open_subprocess(command, **options)

    warnings.filterwarnings(
        "ignore", category=SupersessionWarning
    )  # `dg dev` wants a project of its own kind
    vars(dev)["open_ipc_subprocess"] = open_guarded
    mark_own_server()
    dev.dev_command(arguments)


if __name__ == "__main__":
    {"dev": run_dev, "webserver": serve_guarded}[sys.argv[1]](sys.argv[2:])
