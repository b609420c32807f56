"""What a disk, the memory or the terminal refuses is one message with its cause and its remedy, and no traceback."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from photolineage.catalog.refusals import LEAST_ADDRESS_SPACE
from resources.own_server import OWN_SERVER_VARIABLE
from tests.command_line import PHOTOLINEAGE, environment
from tests.lineage import Lineage, failure_of
from workloads import REPOSITORY_ROOT


def in_a_process(lineage: Lineage, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PHOTOLINEAGE, *command],
        env=environment(lineage.config_file) | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts with these arguments of `mount`, and unmounts at the end."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser mounts disks")
    mounted: list[str] = []

    def run(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)
        if "remount" not in str(arguments):
            mounted.append(arguments[-1])

    yield run
    for place in reversed(mounted):
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("size", ["300k", "900k", "1200k"])
def test_a_full_disk_of_dagsters_own_database(
    new_lineage: Lineage, mount: Callable[..., None], tmp_path: Path, size: str
) -> None:
    """At its first table, at its last one, and in the middle of a run."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk))
    dagster = new_lineage.home / "dagster"
    dagster.rename(dagster.with_name("former"))
    dagster.mkdir()
    mount("--bind", str(disk), str(dagster))
    done = in_a_process(new_lineage, "run", "--model", "tiny-a")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "[SQL" not in done.stderr
    assert str(dagster) in done.stderr
    assert "Free space on its disk" in done.stderr or "Its disk is full, read-only or failing" in done.stderr


def test_the_ui_of_a_read_only_home(lineage: Lineage, mount: Callable[..., None]) -> None:
    mount("--bind", str(lineage.home), str(lineage.home))
    mount("-o", "remount,ro,bind", str(lineage.home))
    done = in_a_process(lineage, "ui")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{lineage.home}/dagster/server.lock: Read-only file system. Its disk is read-only" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_little_address_space_damages_no_photo(lineage: Lineage) -> None:
    before = lineage.rows()
    for command in (["run"], ["ui"]):
        done = subprocess.run(
            [PHOTOLINEAGE, *command],
            env=environment(lineage.config_file),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20,) * 2),
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 1
        assert "may use only 0.4 GB of address space" in done.stderr
        assert "ulimit -v unlimited" in done.stderr
        assert "Traceback" not in done.stderr
    assert lineage.rows() == before


def test_too_little_address_space_in_a_run_of_dagster(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _of: (LEAST_ADDRESS_SPACE - 1, resource.RLIM_INFINITY))
    run = lineage.materialize("registered_images", "photos-00000")
    assert "ulimit -v unlimited" in failure_of(run)


ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


def test_an_output_without_utf8(lineage: Lineage) -> None:
    photo = lineage.config_file.parent / "photos/2023/00.jpg"
    photo.rename(photo.with_name("été — 日本.jpg"))
    assert in_a_process(lineage, "run", "--model", "tiny-a", **ASCII).returncode == 0
    for command in (
        ["status"],
        ["events"],
        ["check"],
        ["sources", "list"],
        ["search", "--image-id", "1"],
        ["why", str(photo.with_name("été — 日本.jpg"))],
    ):
        done = in_a_process(lineage, *command, **ASCII)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr
    searched = in_a_process(lineage, "search", "--image-id", "1", "--json", "-k", "30", **ASCII)
    paths = [hit["path"] for hit in json.loads(searched.stdout)["hits"]]
    assert str(photo.with_name("été — 日本.jpg")) in paths


@pytest.mark.parametrize(
    "command",
    [
        ["asset", "materialize", "--select", "registered_images", "--partition", "photos-00000"],
        ["job", "execute", "-j", "materialize_catalog_schema"],
    ],
)
def test_dagsters_command_line_needs_the_instance(lineage: Lineage, command: list[str]) -> None:
    variables = environment(lineage.config_file)
    variables.pop("DAGSTER_HOME", None)
    variables.pop(OWN_SERVER_VARIABLE, None)
    arguments = [sys.executable, "-m", "dagster", *command, "-m", "definitions"]

    def run(**more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            arguments,
            cwd=REPOSITORY_ROOT,
            env=variables | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    refused = run()
    assert refused.returncode == 1
    assert f"Set DAGSTER_HOME={lineage.home}/dagster" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert run(DAGSTER_HOME=str(lineage.home / "dagster")).returncode == 0
