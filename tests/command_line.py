"""The command as a person and a program meet it: in this process, or the installed one in a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from photolineage.cli import terminal
from photolineage.cli.app import app
from photolineage.settings import CONFIG_VARIABLE
from tests.lineage import Lineage

PHOTOLINEAGE = Path(sys.executable).with_name("photolineage")


def environment(config_file: Path) -> dict[str, str]:
    return os.environ | {CONFIG_VARIABLE: str(config_file), "COLUMNS": "200", "NO_COLOR": "1"}


def in_own_process(lineage: Lineage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own."""
    return subprocess.run(
        [PHOTOLINEAGE, *arguments],
        env=environment(lineage.config_file),
        capture_output=True,
        text=True,
        check=False,
    )


def photolineage(lineage: Lineage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, seconds faster than in one of its own, and undo what it does to the process.

    An exception that a person would see as a traceback is raised.
    """
    python_path = list(sys.path)
    with (
        patch.dict(os.environ, environment(lineage.config_file)),
        patch.object(terminal.console, "_width", None),  # else as wide as COLUMNS was when it was imported
        patch.object(terminal.errors, "_width", None),
        contextlib.chdir(Path.cwd()),
    ):
        try:
            done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        finally:
            sys.path[:] = python_path
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def after_configuration(stderr: str) -> str:
    """What a command says on standard error after the line that names its configuration, if it says that."""
    first, _, others = stderr.partition("\n")
    return others if first.startswith("Configuration: ") else stderr


Command = Callable[..., subprocess.CompletedProcess[str]]


def as_json(lineage: Lineage, *arguments: str, command: Command = photolineage) -> Any:
    """What a command that succeeds prints with --json: nothing but one JSON value."""
    done = command(lineage, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def failure(lineage: Lineage, *arguments: str, command: Command = photolineage) -> str:
    """The message of a command that fails."""
    done = command(lineage, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def embedded_images(lineage: Lineage) -> tuple[int, int]:
    """Rows of committed embedding files: all of them, and the different images among them."""
    with lineage.library.engine.connect() as connection:
        if not connection.dialect.has_table(connection, "shard_file"):
            return (0, 0)
        paths = list(
            connection.exec_driver_sql("SELECT path FROM shard_file WHERE kind = 'embedding'").scalars()
        )
    images = [
        image
        for path in paths
        for image in lineage.library.embeddings.read_identities(path)["image_id"].to_pylist()
    ]
    return len(images), len(set(images))
