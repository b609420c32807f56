"""Operations on files that fail, and losses of power: a sample of what `benchmarks.crash_states` tries."""

import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from workloads.crash_states.interposer import Mode, build
from workloads.crash_states.operations import CATALOG, Operation, Tree, after_a_loss_of_power, unflushed
from workloads.crash_states.proof import Report, Scenario, first_run, upgrade_day
from workloads.killing.workers import nursery
from workloads.stateful.examine import Vectors
from workloads.stateful.undisturbed import undisturbed_vectors

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
    pytest.mark.timeout(600),
]

FAULTS = (
    (Mode.FAIL, "write"),
    (Mode.FAIL, "fsync"),
    (Mode.FAIL, "rename"),
    (Mode.TEAR, "write"),
    (Mode.KILL, "rename"),
)
LOSSES_OF_POWER = 2


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Vectors]:
    return undisturbed_vectors(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    with nursery(build(tmp_path_factory.mktemp("interposer"))) as process:
        yield process


@pytest.fixture(scope="module", params=[first_run, upgrade_day], ids=["first run", "upgrade"])
def scenario(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    process: subprocess.Popen[str],
    vectors: Mapping[str, Vectors],
) -> Scenario:
    made: Scenario = request.param(tmp_path_factory.mktemp("library"), process, vectors)
    return made


def test_one_operation_of_each_kind_goes_wrong(scenario: Scenario) -> None:
    report, rng = Report(), random.Random(scenario.name)
    for mode, kind in FAULTS:
        numbers = [at for at, done in enumerate(scenario.operations, 1) if done.kind == kind]
        scenario.fail(report, mode, rng.choice(numbers))

    assert report.violations == []
    assert report.states == len(FAULTS)


def test_losses_of_power(scenario: Scenario) -> None:
    states = sum(1 for _ in scenario.losses_of_power(random.Random(1)))
    assert states > len(scenario.operations) * 0.9
    report, chosen = Report(), random.Random(scenario.name).sample(range(states), LOSSES_OF_POWER)
    for number, (done, tree) in enumerate(scenario.losses_of_power(random.Random(1))):
        if number in chosen:
            scenario.lose_power(report, done, tree)

    assert report.violations == []
    assert report.states == LOSSES_OF_POWER


def test_the_operations_of_all_writers_are_seen(scenario: Scenario) -> None:
    paths = [operation.path for operation in scenario.operations]
    for part in ("catalog.db-wal", "previews/", "embeddings/", "index/", "_versions/", "events/"):
        assert any(part in path for path in paths), part


HINT_OF_NEWEST_VERSION = b'{"version":'
"""LanceDB may write this small file after a commit has returned. It finds the newest version without it, too."""


def test_no_operation_on_an_index_can_be_lost_in_the_end(scenario: Scenario) -> None:
    tree = scenario.before.copy()
    for operation in scenario.operations:
        tree.apply(operation)
    lost = [scenario.operations[number] for number in unflushed(scenario.operations)]
    there = {0, *tree.names.values()}  # names have no inode

    of_index = [one for one in lost if one.path.startswith("index/") and one.inode in there]
    assert [one for one in of_index if not one.data.startswith(HINT_OF_NEWEST_VERSION)] == []


def operations_on(*steps: tuple[str, int, str, str, bytes]) -> list[Operation]:
    return [Operation(what, inode, 0, path, other, data) for what, inode, path, other, data in steps]


WRITTEN = (("C", 7, "new", "", b""), ("W", 7, "new", "", b"content"))


def states_of(*steps: tuple[str, int, str, str, bytes]) -> list[dict[str, bytes]]:
    before = Tree({"."}, {"old": 1}, {1: bytearray(b"former")})
    return [
        tree.files()
        for seed in range(20)
        for _, tree in after_a_loss_of_power(before, operations_on(*steps), random.Random(seed))
    ]


def test_what_was_not_flushed_may_be_lost_though_it_was_renamed() -> None:
    found = states_of(*WRITTEN, ("R", 0, "new", "old", b""), ("S", 1, "elsewhere", "", b""))

    assert {"old": b"former"} in found
    assert {"old": b""} in found
    assert {"old": b"content"} in found


def test_what_was_flushed_before_it_was_renamed_is_one_or_the_other() -> None:
    found = states_of(
        *WRITTEN, ("S", 7, "new", "", b""), ("R", 0, "new", "old", b""), ("S", 1, "elsewhere", "", b"")
    )

    after_the_rename = [files for files in found if "new" not in files or files["new"] == b"content"]
    assert {"old": b"content"} in after_the_rename
    assert {"old": b"former", "new": b"content"} in after_the_rename
    assert {"old": b""} not in found


def test_half_a_transaction_leaves_what_was_there_before(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / CATALOG, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE image (path)")
        before = Tree.read(tmp_path)
        connection.execute("INSERT INTO image VALUES ('1.jpg')")
        after = Tree.read(tmp_path)
    torn = after.copy()
    del torn.contents[torn.names[f"{CATALOG}-wal"]][-1:]
    with_another_file = before.copy()
    with_another_file.names["1.arrow"] = before.names[CATALOG]

    assert before.outcome() == torn.outcome()
    assert len({tree.outcome() for tree in (before, after, with_another_file)}) == 3


def test_a_log_is_replayed_to_what_is_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/one").write_bytes(b"abc")
    tree = Tree.read(tmp_path)
    inode = tree.names["folder/one"]
    for operation in (
        Operation("W", inode, 5, "folder/one", data=b"xy"),
        Operation("T", inode, 6, "folder/one"),
        Operation("M", 0, 0, "other"),
        Operation("R", 0, 0, "folder", "other/folder"),
        Operation("L", 0, 0, "other/folder/one", "other/two"),
        Operation("U", 0, 0, "other/folder/one"),
    ):
        tree.apply(operation)

    assert tree.files() == {"other/two": b"abc\0\0x"}
    tree.write(tmp_path)
    assert Tree.read(tmp_path).files() == tree.files()
    assert (tmp_path / "other/folder").is_dir()


def test_an_exit_without_an_error_is_held_to_the_result(scenario: Scenario) -> None:
    """A fault that nothing reports counts, if the library is not as it should be."""
    report = Report()
    broken = Scenario(
        scenario.name,
        scenario.folder,
        scenario.model,
        scenario.nursery,
        replace(scenario.expected, photos={}),
        scenario.before,
        scenario.operations,
    )
    broken.fail(report, Mode.COUNT, 1)

    assert any("not told" in one for one in report.violations)


def test_the_interposer_compiles_without_warnings(tmp_path: Path) -> None:
    source = Path("workloads/crash_states/interposer.c")
    compiled = subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(tmp_path / "i.so"), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stderr
