"""Operations on files that fail, and losses of power: a sample of what `benchmarks.crash_states` tries."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from workloads.crash_states.interposer import Mode, build
from workloads.crash_states.operations import Operation, Tree, after_a_loss_of_power
from workloads.crash_states.proof import Report, Scenario, first_run, upgrade_day
from workloads.killing.workers import nursery
from workloads.stateful.library import undisturbed_vectors

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler"),
    pytest.mark.timeout(1200),
]

STATES_OF_EACH_KIND = 4


@pytest.fixture(scope="module", params=[first_run, upgrade_day], ids=["first run", "upgrade"])
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    folder = tmp_path_factory.mktemp("crash-states")
    vectors = undisturbed_vectors(folder / "undisturbed")
    library = folder / "library"
    library.mkdir()
    with nursery(build(folder)) as process:
        yield request.param(library, process, vectors)


@pytest.mark.parametrize("mode", [Mode.FAIL, Mode.TEAR, Mode.KILL], ids=["fails", "is torn", "is the last"])
def test_an_operation(scenario: Scenario, mode: Mode) -> None:
    report, rng = Report(), random.Random(mode)
    for kind in ("write", "fsync", "rename"):
        numbers = [at for at, done in enumerate(scenario.operations, 1) if done.kind == kind]
        for at in rng.sample(numbers, STATES_OF_EACH_KIND // 2):
            scenario.fail(report, mode, at)

    assert report.violations == []
    assert report.states == 3 * (STATES_OF_EACH_KIND // 2)


def test_losses_of_power(scenario: Scenario) -> None:
    report, rng = Report(), random.Random(7)
    states = sum(1 for _ in scenario.losses_of_power(random.Random(1)))
    assert states > len(scenario.operations) * 0.9
    chosen = set(rng.sample(range(states), STATES_OF_EACH_KIND))
    for number, (done, tree) in enumerate(scenario.losses_of_power(random.Random(1))):
        if number in chosen:
            scenario.lose_power(report, done, tree)

    assert report.violations == []
    assert report.states == STATES_OF_EACH_KIND


def test_the_operations_of_all_writers_are_seen(scenario: Scenario) -> None:
    paths = [operation.path for operation in scenario.operations]
    for part in ("catalog.db-wal", "previews/", "embeddings/", "index/", "_versions/", "events/"):
        assert any(part in path for path in paths), part


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
