"""Dagster's private names are in one module; those that only tests use are in another."""

import re
import subprocess

from workloads import REPOSITORY_ROOT

PRIVATE = re.compile(r"\bdagster(_\w+)?(\.\w+)*\._|\bfrom dagster(_\w+)?(\.\w+)* import .*\b_\w")
INTERNALS = {"resources/dagster_internals.py", "tests/dagster_internals.py"}
THIS_TEST = "tests/orchestration/test_dagster_internals.py"


def uses_private_name(source: str) -> bool:
    return PRIVATE.search(source) is not None


def test_private_names_of_dagster_are_used_in_their_own_modules_only() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = listed.stdout.split()
    assert set(paths) >= INTERNALS
    using = {path for path in paths if uses_private_name((REPOSITORY_ROOT / path).read_text())}
    assert using - {THIS_TEST} == INTERNALS


def test_private_names_are_recognized() -> None:
    assert uses_private_name("from dagster._core.storage.tags import WILL_RETRY_TAG")
    assert uses_private_name("import dagster._cli.api")
    assert uses_private_name("    from dagster_shared._record import record")
    assert uses_private_name("from dagster import _check as check")
    assert not uses_private_name("from dagster import DagsterInstance, define_asset_job")
