"""No page of another site drives the Dagster UI: by GET, a form, another name of this machine, or a WebSocket."""

import asyncio
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest

from assets.orchestration.guarded_ui import MODULE, SameOriginGuard, run_dev
from resources.dagster_internals import dev_command_module

HOSTS = ("photos.example.org",)
"""The address of a proxy, which `alerts.ui` names."""
OWN = {"host": "localhost:3000", "origin": "http://localhost:3000"}
JSON = {"content-type": "application/json"}
Message = MutableMapping[str, Any]


def answer(
    kind: str, method: str, path: str, headers: dict[str, str], *, remote: bool = False
) -> tuple[bool, list[Message]]:
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
    asyncio.run(SameOriginGuard(application, HOSTS, remote=remote)(scope, receive, send))
    return reached, sent


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/assets", {"host": "127.0.0.1:3000"}),
        ("GET", "/graphql", OWN),
        ("GET", "/assets", {"host": "localhost:8000"}),  # through a tunnel
        ("GET", "/assets", {"host": "localhost"}),  # on port 80
        ("GET", "/assets", {"host": "[::1]:3000"}),
        ("POST", "/graphql", {"host": "photos.example.org", "origin": "https://photos.example.org"} | JSON),
        ("POST", "/graphql", {"host": "127.0.0.1:3000", "origin": "https://photos.example.org"} | JSON),
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
        ("GET", "/assets", {"host": "192.168.1.5:3000"}, "192.168.1.5"),
        ("GET", "/assets", {"host": "localhost.attacker.example:3000"}, "localhost.attacker.example"),
        ("GET", "/assets", {"host": "[::1"}, "[::1"),
        ("GET", "/graphql?query=mutation%7Bx%7D", OWN, "send it as JSON by POST"),
        ("GET", "/graphql?a=1&query", OWN, "send it as JSON by POST"),
        ("POST", "/graphql", OWN | JSON | {"origin": "http://attacker.example"}, "attacker.example"),
        ("POST", "/graphql", OWN | JSON | {"origin": "null"}, "'null'"),
        ("POST", "/graphql", OWN | JSON | {"origin": "http://localhost:8888"}, "localhost:8888"),
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


def test_other_machines_are_let_in_by_address_and_not_by_a_foreign_name() -> None:
    by_address = {"host": "192.168.1.5:3000", "origin": "http://192.168.1.5:3000"}
    by_name = {"host": f"{socket.gethostname()}:3000"}
    foreign = {"host": "attacker.example:3000"}
    assert answer("http", "POST", "/graphql", by_address | JSON, remote=True) == (True, [])
    assert answer("http", "GET", "/assets", by_name, remote=True) == (True, [])
    assert not answer("http", "GET", "/assets", foreign, remote=True)[0]
    assert not answer(
        "http", "POST", "/graphql", by_address | JSON | {"origin": "http://attacker.example"}, remote=True
    )[0]


def test_an_unguarded_web_server_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    dev = dev_command_module()
    monkeypatch.setattr(dev, "open_ipc_subprocess", lambda command, **_options: started.append(command))
    monkeypatch.setattr(dev, "dev_command", lambda _arguments: None)
    run_dev([])
    start = vars(dev)["open_ipc_subprocess"]
    start(["python", "-m", "dagster_webserver", "--port", "3000"])
    start(["python", "-m", "a_daemon", "run"])
    assert started == [
        ["python", "-m", MODULE, "webserver", "--port", "3000"],
        ["python", "-m", "a_daemon", "run"],
    ]
    for unknown in (["python", "-X", "dev", "-m", "dagster_webserver"], ["dagster-webserver", "-p", "3000"]):
        with pytest.raises(RuntimeError, match="starts its web server in another way"):
            start(unknown)
    assert len(started) == 2
