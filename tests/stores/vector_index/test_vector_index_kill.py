"""A process that is killed while it updates the index: nothing is doubled, nothing is lost, the next one completes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from photolineage.stores.vector_index import VectorIndex, index_schema
from tests.stores.vector_index.interrupted_update import (
    ANN_FROM_ROWS,
    DIM,
    STATES,
    former_state,
    update,
)

ROOT = Path(__file__).parents[3]
Rows = dict[int, dict[str, Any]]


@pytest.fixture(autouse=True)
def _small_ann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photolineage.stores.vector_index.maintenance.ANN_FROM_ROWS", ANN_FROM_ROWS)


def killed_updates(folder: Path, state: str, mode: str, *, stride: int = 1) -> list[Path]:
    """What processes left that were killed at every point in turn, up to the point that none reached."""
    module = "tests.stores.vector_index.interrupted_update"
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder), state, mode, str(stride)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [folder / point for point in done.stdout.split()]


def expected_rows(state: str) -> Rows:
    return {row["image_id"]: row for row in STATES[state]().expected_rows()}


def stored_rows(directory: Path) -> Rows:
    """The rows of the table, read past the code under test; none where there is no table."""
    import lancedb

    if not VectorIndex(directory, "clip", DIM).exists():
        return {}
    rows = lancedb.connect(directory).open_table("clip").to_arrow().cast(index_schema(DIM)).to_pylist()
    by_image = {row["image_id"]: row for row in rows}
    assert len(by_image) == len(rows), "an image has two rows"
    return by_image


def check_and_complete(directory: Path, before: Rows, state: str) -> int:
    """Checks what a kill left and what the next update makes of it; returns how many rows were final already."""
    after, left = expected_rows(state), stored_rows(directory)
    for image, row in left.items():
        assert row in (before.get(image), after.get(image)), f"image {image} has a row of neither state"
    assert left.keys() >= before.keys() & after.keys(), "an image of both states was lost"
    final = sum(row == after.get(image) for image, row in left.items())

    library, index = STATES[state](), VectorIndex(directory, "clip", DIM)
    change = index.synchronize(library.live(), library.read)
    assert change.added + change.replaced + change.updated == len(after) - final, (
        "a final row is written again"
    )
    index.compact()
    index.build_ann_if_outgrown()
    assert stored_rows(directory) == after
    assert (index.describe().ann_kind, index.describe().ann_rows) == ("IvfRq", len(after))
    assert [hit.image_id for hit in index.search(index.vectors_of([300])[0], 1)] == [300]
    return final


def test_a_kill_between_any_two_steps_of_an_update(tmp_path: Path) -> None:
    update(tmp_path / "prepared", former_state())

    left = killed_updates(tmp_path, "next", "step")

    final = [check_and_complete(directory, expected_rows("former"), "next") for directory in left]
    unchanged, updated, merge = 400 - 50 - 60 - 100, 60, 200
    assert final == [
        *[unchanged] * 3,  # before and after the delete, before the update
        *[unchanged + updated] * 2,
        *[unchanged + updated + merge] * 2,
        *[unchanged + updated + 2 * merge] * 3,  # before and after the compaction; the index is not outgrown
    ]
    assert final[-1] == len(expected_rows("next"))


def test_a_kill_between_any_two_steps_of_the_first_build(tmp_path: Path) -> None:
    left = killed_updates(tmp_path, "former", "step")

    final = [check_and_complete(directory, {}, "former") for directory in left]
    # Before and after: the making of the table, two merges, the compaction, four scalar indices and the
    # approximate one.
    assert final == [0, 0, 0, 200, 200, *[400] * 13]


def test_a_kill_in_the_middle_of_a_step(tmp_path: Path) -> None:
    update(tmp_path / "prepared", former_state())

    left = killed_updates(tmp_path, "next", "time", stride=15)

    assert len(left) >= 3
    for directory in left:
        check_and_complete(directory, expected_rows("former"), "next")
