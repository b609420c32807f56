"""The Dagster UI behind a guard that blocks requests from the web pages of other sites.

Dagster's own web server answers any page that a browser on this machine opens: it runs mutations sent by GET, and does
not check the Host and Origin headers. `photolineage ui` puts `SameOriginGuard` in front of it.
`python -m assets.orchestration.guarded_ui dev …` is `dagster dev` with this guarded web server.
"""

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from assets.orchestration.dagster_internals import dev_command_module

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS_VARIABLE = "PHOTOLINEAGE_UI_HOSTS"
"""The allowed values of the Host header, separated by spaces."""

MODULE = "assets.orchestration.guarded_ui"
READING = frozenset({"GET", "HEAD"})


class SameOriginGuard:
    """An ASGI application in front of another one; it answers 403 to requests that another site's page may have sent.

    - The Host header must be one of `hosts`, so that a foreign host name that resolves to this machine is refused.
    - An Origin header, if present, must name one of `hosts`. A WebSocket request must have one.
    - GET and HEAD must not contain a GraphQL query, so that they only read. All other requests must have a JSON body: a
      browser sends JSON to another site only with that site's consent, and this server never gives it.
    """

    def __init__(self, application: "ASGIApp", hosts: Collection[str]) -> None:
        self._application = application
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass the request on, or refuse it and say why."""
        if scope["type"] in {"http", "websocket"}:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            reason = self._why_refused(scope, headers)
            if reason is not None:
                await _refuse(scope, receive, send, reason)
                return
        await self._application(scope, receive, send)

    def _why_refused(self, scope: "Scope", headers: dict[str, str]) -> str | None:
        if headers.get("host", "").lower() not in self._hosts:
            return f"the host {headers.get('host', '')!r} is not one of {', '.join(sorted(self._hosts))}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self._hosts:
            return f"the page comes from {origin!r}"
        if scope["type"] == "websocket":
            return None if origin is not None else "a WebSocket needs an Origin"
        if scope["method"] in READING:
            names = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            return "the address contains a query; send it as JSON by POST" if "query" in names else None
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return None if kind == "application/json" else f"the content type {kind!r} is not application/json"


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
        return SameOriginGuard(create_application(*given, **named), os.environ[HOSTS_VARIABLE].split())

    vars(cli)["create_app_from_workspace_process_context"] = create_guarded
    cli.cli(arguments)


def run_dev(arguments: list[str]) -> None:
    """Run `dagster dev` with these arguments and the guarded web server."""
    dev = dev_command_module()
    open_subprocess: Any = vars(dev)["open_ipc_subprocess"]

    def open_guarded(command: list[str], **options: Any) -> Any:
        if command[1:3] == ["-m", "dagster_webserver"]:
            command = [command[0], "-m", MODULE, "webserver", *command[3:]]
        return open_subprocess(command, **options)

    vars(dev)["open_ipc_subprocess"] = open_guarded
    dev.dev_command(arguments)


if __name__ == "__main__":
    {"dev": run_dev, "webserver": serve_guarded}[sys.argv[1]](sys.argv[2:])
