"""A table whose files are lost or cut short says so, and is made anew; one that the system refuses stays as it is."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from photolineage.stores.vector_index import (
    IndexDamagedError,
    IndexNotBuiltError,
    VectorIndex,
    VectorIndexes,
)
from tests.stores.vector_index.conftest import Library

ROOT = Path(__file__).parents[3]
IMAGES = 400
MODEL = "demo-clip-v1"
Damage = Callable[[Path], object]


@pytest.fixture
def table(
    library: Library, make_index: Callable[..., VectorIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a table with every kind of file: two fragments, indices, and rows that were removed."""
    monkeypatch.setattr("photolineage.stores.vector_index.maintenance.ANN_FROM_ROWS", IMAGES)
    library.commit(1, range(IMAGES))
    for image in range(0, IMAGES, 2):
        library.facts[image] |= {"latitude": 43.5, "longitude": image / 10}
    index = make_index()
    index.synchronize(library.live(), library.read)
    index.compact()
    index.build_ann_if_outgrown()
    library.commit(2, range(IMAGES, IMAGES + 20))
    library.remove([3, IMAGES])
    index.synchronize(library.live(), library.read)
    return tmp_path / "index" / f"{MODEL}.lance"


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def nearest(index: VectorIndex, effort: Literal["exact"] | None = None) -> list[int]:
    return [hit.image_id for hit in index.search(np.ones(16, np.float32), 5, effort=effort)]


FILES = [
    "data/*.lance",
    "_deletions/*",
    "_versions/*.manifest",
    "_indices/*/auxiliary.idx",
    "_indices/*/index.idx",
]


@pytest.mark.parametrize("damage", [lose, cut, scramble])
@pytest.mark.parametrize("files", FILES)
def test_a_damaged_table_is_named_by_a_search_and_made_anew_by_the_next_synchronization(
    library: Library,
    make_index: Callable[..., VectorIndex],
    stored_rows: Callable[..., list[dict[str, object]]],
    caplog: pytest.LogCaptureFixture,
    table: Path,
    files: str,
    damage: Damage,
) -> None:
    expected = nearest(make_index(), "exact")
    for path in table.glob(files):
        damage(path)
    without_any_version = (files, damage) == ("_versions/*.manifest", lose)
    with pytest.raises(IndexNotBuiltError if without_any_version else IndexDamagedError) as raised:
        nearest(make_index())
    assert "aterialize vector_index for it" in str(raised.value)
    assert VectorIndexes(table.parents[1]).is_there(MODEL) == (not without_any_version)

    index = make_index()
    with caplog.at_level(logging.WARNING):
        change = index.synchronize(library.live(), library.read)
    assert (change.added, change.rows) == (IMAGES + 18, IMAGES + 18)
    assert (f"{table}: deleting and rebuilding the damaged table" in caplog.text) == (not without_any_version)
    index.compact()
    index.build_ann_if_outgrown()
    assert nearest(index, "exact") == nearest(make_index(), "exact") == expected
    assert len(nearest(index)) == 5
    assert stored_rows() == library.expected_rows()


def test_every_file_of_the_indices_and_versions_counts(
    library: Library, make_index: Callable[..., VectorIndex], table: Path
) -> None:
    """Also those that a plain search does not open: of filters, and of versions that compaction looks at."""
    whole = make_index().synchronize(library.live(), library.read)
    assert whole.added == 0
    for pattern in (
        "_indices/*/page_lookup.lance",
        "_indices/*/page_data.lance",
        "_indices/*/bitmap*",
        "_versions/*.m*",
    ):
        paths = sorted(table.glob(pattern))
        assert len(paths) > 0
        for path in paths:
            former = path.read_bytes()
            cut(path)
            with pytest.raises(IndexDamagedError):
                make_index()._read_everywhere()
            path.write_bytes(former)
    assert make_index()._read_everywhere().num_rows == IMAGES + 18


def test_the_hint_of_the_newest_version_may_be_lost(
    make_index: Callable[..., VectorIndex], table: Path
) -> None:
    """LanceDB writes it after a commit has returned, so a loss of power may empty it or leave an older one."""
    expected = nearest(make_index(), "exact")
    (hint,) = table.glob("_versions/latest_version_hint.json")
    for content in (b"", bytes(13), b'{"version":1}', b'{"version":999}'):
        hint.write_bytes(content)
        assert nearest(make_index(), "exact") == expected


def test_a_file_that_is_renamed_during_a_flush_is_left_out(
    make_index: Callable[..., VectorIndex], table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = table / "_versions/.tmp123"
    hint.write_bytes(b"{}")
    flushed, opened = [], os.open

    def rename_first(path: Any, *arguments: Any, **named: Any) -> int:
        if Path(path) == hint:
            hint.rename(hint.with_name("latest_version_hint.json"))
        descriptor = opened(path, *arguments, **named)
        flushed.append(Path(path))
        return descriptor

    monkeypatch.setattr(os, "open", rename_first)
    make_index().flush()
    assert hint not in flushed
    assert {*table.rglob("*.manifest"), *table.rglob("*.lance"), table, table.parent} <= {*flushed}


SYNCHRONIZE = """
import sys
from pathlib import Path
from photolineage.stores.vector_index import IndexNotReadableError, VectorIndex, live_schema
try:
    VectorIndex(Path(sys.argv[1]), "demo-clip-v1", 16).synchronize(live_schema().empty_table(), lambda files: iter(()))
except IndexNotReadableError as error:
    print(error)
"""
OBEDIENT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""The superuser without the right to read what may not be read."""


@pytest.mark.parametrize("files", FILES)
def test_a_table_that_the_system_refuses_to_read_stays(
    library: Library, make_index: Callable[..., VectorIndex], table: Path, files: str
) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, where the superuser runs the tests")
    paths = list(table.glob(files))
    assert paths
    for path in paths:
        path.chmod(0)
    done = subprocess.run(
        [*(OBEDIENT if os.geteuid() == 0 else ()), sys.executable, "-c", SYNCHRONIZE, table.parent],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for path in paths:
        path.chmod(0o644)
    assert done.returncode == 0, done.stderr
    assert "Permission denied (os error 13)" in done.stdout
    assert "content of the table is kept" in done.stdout
    assert make_index().synchronize(library.live(), library.read).added == 0
