"""No page of another site drives the Dagster UI: by GET, a form, another name of this machine, or a WebSocket."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from assets.orchestration.guarded_ui import SameOriginGuard

HOSTS = ("127.0.0.1:3000", "localhost:3000")
OWN = {"host": "localhost:3000", "origin": "http://localhost:3000"}
JSON = {"content-type": "application/json"}
Message = MutableMapping[str, Any]


def answer(kind: str, method: str, path: str, headers: dict[str, str]) -> tuple[bool, list[Message]]:
    """Whether the request reached the application, and what was sent back."""
    reached = False
    sent: list[Message] = []

    async def application(_scope: Any, _receive: Any, _send: Any) -> None:
        nonlocal reached
        reached = True

    async def receive() -> Message:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(SameOriginGuard(application, HOSTS)(scope, receive, send))
    return reached, sent


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/assets", {"host": "127.0.0.1:3000"}),
        ("GET", "/graphql", OWN),
        ("POST", "/graphql", OWN | JSON),
        (
            "POST",
            "/graphql",
            {"host": "LOCALHOST:3000"} | {"content-type": "application/json; charset=utf-8"},
        ),
    ],
)
def test_the_ui_and_programs_of_this_machine_pass(method: str, path: str, headers: dict[str, str]) -> None:
    assert answer("http", method, path, headers) == (True, [])


@pytest.mark.parametrize(
    ("method", "path", "headers", "reason"),
    [
        ("GET", "/assets", {}, "the host ''"),
        ("GET", "/assets", {"host": "photos.attacker.example:3000"}, "photos.attacker.example"),
        ("GET", "/assets", {"host": "localhost:3001"}, "localhost:3001"),
        ("GET", "/graphql?query=mutation%7Bx%7D", OWN, "send it as JSON by POST"),
        ("GET", "/graphql?a=1&query", OWN, "send it as JSON by POST"),
        ("POST", "/graphql", OWN | JSON | {"origin": "http://attacker.example"}, "attacker.example"),
        ("POST", "/graphql", OWN | JSON | {"origin": "null"}, "'null'"),
        ("POST", "/graphql", {"host": "localhost:3000"}, "content type ''"),
        ("POST", "/graphql", OWN | {"content-type": "text/plain; application/json"}, "'text/plain'"),
        ("POST", "/graphql", OWN | {"content-type": "application/x-www-form-urlencoded"}, "urlencoded"),
        ("POST", "/report_asset_materialization/x", {"host": "localhost:3000"}, "content type"),
        ("PUT", "/", OWN | {"content-type": "text/plain"}, "content type"),
    ],
)
def test_what_another_page_can_send_is_refused(
    method: str, path: str, headers: dict[str, str], reason: str
) -> None:
    reached, (start, body) = answer("http", method, path, headers)
    assert not reached
    assert start["status"] == 403
    assert reason in body["body"].decode()


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        (OWN, True),
        ({"host": "localhost:3000"}, False),
        (OWN | {"origin": "http://attacker.example"}, False),
        (OWN | {"host": "attacker.example:3000"}, False),
    ],
)
def test_a_websocket_needs_an_own_origin(headers: dict[str, str], passes: bool) -> None:
    reached, sent = answer("websocket", "GET", "/graphql", headers)
    assert reached is passes
    assert [message["type"] for message in sent] == ([] if passes else ["websocket.close"])
