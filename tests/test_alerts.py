"""An alert is delivered or is not, within its time, whatever the receiver does; and no error shows a secret."""

import contextlib
import logging
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from photolineage import alerts
from photolineage.alerts import Alert, AlertNotDeliveredError, alert_receivers, short_text
from photolineage.settings import AlertSettings

SECRET = "T0000-xyzzy"
ALERT = Alert(
    "run-1", "it failed", "a job", ["an_asset"], None, True, "it failed", "http://ui/runs/run-1", []
)
Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Lets a function answer each connection, after the request has been read; the address to post to."""
    stopped = threading.Event()
    threads: list[threading.Thread] = []
    servers: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            while not stopped.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    answer(connection)

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/services/{SECRET}?token={SECRET}"

    yield start
    stopped.set()
    for server in servers:
        server.close()


def post(address: str) -> None:
    alert_receivers(AlertSettings(webhook=SecretStr(address)))["alerts.webhook"](ALERT)


def refusal(address: str) -> str:
    """What is told when an alert is not delivered, with every error in the chain."""
    with pytest.raises(AlertNotDeliveredError) as refused:
        post(address)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    return str(refused.value)


def drip(connection: socket.socket) -> None:
    for _ in range(400):
        connection.sendall(b"x")
        time.sleep(0.05)


def test_an_answer_of_success_is_enough_even_if_its_body_never_ends(serve: Serve) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n")
        drip(connection)

    began = time.monotonic()
    post(serve(answer))
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_no_delivery(serve: Serve, status: int) -> None:
    reached: list[bytes] = []

    def take(connection: socket.socket) -> None:
        reached.append(b"")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    elsewhere = serve(take)

    def answer(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status} Elsewhere\r\nlocation: {elsewhere}\r\n\r\n".encode())

    said = refusal(serve(answer))
    assert said.startswith(f"alerts.webhook (127.0.0.1): the webhook answered {status} ")
    assert "Redirects are not followed" in said
    assert not reached


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        f"POST /services/{SECRET} HTTP/1.1\r\n".encode(),  # a server that echoes
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\x00\r\n\r\n",
        bytes(range(256)) * 1000,
    ],
)
def test_an_answer_that_is_not_http_is_a_refusal(serve: Serve, bytes_sent: bytes) -> None:
    said = refusal(serve(lambda connection: connection.sendall(bytes_sent)))
    assert said.startswith("alerts.webhook (127.0.0.1): the webhook gave no valid answer (")
    assert len(said) < 200


def test_a_server_that_drips_is_left_after_the_whole_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "WEBHOOK_SECONDS", 1)

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
        drip(connection)

    began = time.monotonic()
    assert refusal(serve(answer)).endswith("the webhook did not answer within 1 s")
    assert time.monotonic() - began < 3


def test_a_host_that_nobody_finds_is_left_after_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "WEBHOOK_SECONDS", 1)
    found = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: found.wait(20) and [])
    began = time.monotonic()
    try:
        assert refusal(f"http://hooks.example/{SECRET}").endswith("did not answer within 1 s")
        assert time.monotonic() - began < 3
    finally:
        found.set()


def test_a_server_that_is_away_is_named_by_its_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = refusal(f"http://user:{SECRET}@127.0.0.1:{port}/{SECRET}")
    assert said.startswith("alerts.webhook (127.0.0.1): cannot connect: ")


def test_no_log_shows_the_address(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    post(serve(lambda connection: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")))
    assert SECRET not in caplog.text


def run_command(*command: str) -> None:
    alert_receivers(AlertSettings(command=command))["alerts.command"](ALERT)


def test_a_command_that_leaves_a_process_behind_is_a_delivery(tmp_path: Path) -> None:
    began = time.monotonic()
    run_command("sh", "-c", f"sleep 8 & echo $! > {tmp_path}/pid")
    assert time.monotonic() - began < 5
    psutil.Process(int((tmp_path / "pid").read_text())).kill()


def test_a_command_that_does_not_end_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "COMMAND_SECONDS", 1)
    with pytest.raises(AlertNotDeliveredError, match=r"'sh'.*did not end within 1 s"):
        run_command("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    pid = int((tmp_path / "pid").read_text())
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("its child still runs")


@pytest.mark.parametrize("argument", [SECRET, f"{SECRET}\0"])
def test_the_arguments_of_a_command_are_not_shown(argument: str) -> None:
    with pytest.raises(AlertNotDeliveredError) as refused:
        run_command(sys.executable, "-c", "raise SystemExit(3)", argument)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert str(refused.value).startswith(f"alerts.command ('{sys.executable}'): ")


def test_a_command_reads_the_alert_and_its_output_is_told_in_part() -> None:
    code = "import json, sys; print('x' * 100_000); sys.exit(json.load(sys.stdin)['id'] + '\\x1b[31m')"
    with pytest.raises(AlertNotDeliveredError, match=r"ended with status 1: x{300,}\s+run-1\\x1b\[31m$"):
        run_command(sys.executable, "-c", code)


def test_a_text_is_cut_and_keeps_its_lines_only() -> None:
    assert short_text("one\n\0two\r\nthree\ud800", 100) == "one\n\\x00two\nthree\\ud800"
    assert short_text(200_000 * "ä", 10) == "äääääääää…"
    subprocess.run(["true", short_text(200_000 * "\0", alerts.TEXT_LENGTH)], check=True)
