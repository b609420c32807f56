"""A scan tells new, changed, missing and returned files apart, and an image keeps its id and shard for life."""

import os
from pathlib import Path

import pytest

from photolineage.catalog.vocabulary import ImageState, JobState
from photolineage.lineage import JobKind
from photolineage.media import SUPPORTED_SUFFIXES
from photolineage.steps import known_files
from photolineage.steps import scan as scanning
from photolineage.steps.tree_walk import SourceUnavailableError, TreeWalk
from tests.library import Library, draw_photo, touch
from tests.steps.conftest import PHOTOS, counts

WEIRD_NAMES = [
    "a\nb.jpg",
    'it\'s "so".jpg',
    "plage 🏖 été.jpg",
    "latin1-\udce9.jpg",
    "n" * 251 + ".jpg",
    " .jpg",
]


def ids(library: Library) -> dict[str, tuple[int, str]]:
    return {path: (row.id, row.shard) for path, row in library.images().items()}


def test_a_first_scan_finds_every_image_in_path_order(any_library: Library) -> None:
    assert counts(any_library.scan()) == {"files": PHOTOS, "new": PHOTOS}
    images = any_library.images()
    walked = [file.path for file in TreeWalk(any_library.root, SUPPORTED_SUFFIXES).files()]
    assert list(images) == walked
    assert [row.id for row in images.values()] == list(range(1, PHOTOS + 1))
    shards = [row.shard for row in images.values()]
    assert shards == ["photos-00000"] * 10 + ["photos-00001"] * 10 + ["photos-00002"] * 8
    assert {str(row.state) for row in images.values()} == {"discovered"}
    first = images["2023/00.jpg"]
    stat = (any_library.root / "2023/00.jpg").stat()
    assert (first.size_bytes, first.mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def test_a_scan_without_changes_changes_nothing(any_library: Library) -> None:
    any_library.scan()
    before = any_library.images()
    assert counts(any_library.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}
    assert any_library.images() == before
    assert [any_library.revision(key) for key in any_library.shard_keys()] == [1, 1, 1]


def test_each_kind_of_change_is_told_apart_and_only_its_shard_gets_a_revision(any_library: Library) -> None:
    library = any_library
    library.scan()
    library.register_all()
    before = ids(library)
    root = library.root
    touch(root / "2023/00.jpg")
    (root / "2023/05.jpg").write_bytes(b"other bytes")
    (root / "2024/12.jpg").unlink()
    draw_photo(root / "2022/first.jpg", 100)
    assert counts(library.scan()) == {"files": PHOTOS, "new": 1, "changed": 2, "missing": 1, "unchanged": 25}
    images = library.images()
    assert {path: images[path].state for path in ("2023/00.jpg", "2023/05.jpg", "2022/first.jpg")} == {
        "2023/00.jpg": ImageState.DISCOVERED,
        "2023/05.jpg": ImageState.DISCOVERED,
        "2022/first.jpg": ImageState.DISCOVERED,
    }
    assert images["2024/12.jpg"].state == ImageState.MISSING
    assert images["2023/05.jpg"].size_bytes == 11
    assert {path: place for path, place in ids(library).items() if path in before} == before
    assert images["2022/first.jpg"].shard == "photos-00002"
    assert [library.revision(key) for key in library.shard_keys()] == [2, 1, 3]


def test_a_file_that_returns_unchanged_is_registered_as_before(any_library: Library) -> None:
    library = any_library
    library.scan()
    library.register_all()
    before = library.images()["2024/05.jpg"]
    path, away = library.root / "2024/05.jpg", library.root.parent / "away.jpg"
    path.rename(away)
    assert counts(library.scan()) == {"files": PHOTOS - 1, "missing": 1, "unchanged": PHOTOS - 1}
    assert counts(library.scan()) == {"files": PHOTOS - 1, "unchanged": PHOTOS - 1}
    assert library.images()["2024/05.jpg"].content_hash == before.content_hash
    away.rename(path)
    assert counts(library.scan()) == {"files": PHOTOS, "returned": 1, "unchanged": PHOTOS - 1}
    assert library.images()["2024/05.jpg"] == before
    assert library.revision(before.shard) == 3  # found, gone, back


def test_a_file_that_returns_with_other_content_is_changed(library: Library) -> None:
    library.scan()
    library.register_all()
    path = library.root / "2024/05.jpg"
    path.unlink()
    library.scan()
    draw_photo(path, 101)
    assert counts(library.scan()) == {"files": PHOTOS, "changed": 1, "unchanged": PHOTOS - 1}
    assert library.images()["2024/05.jpg"].state == ImageState.DISCOVERED


def test_a_file_that_changed_and_went_away_before_it_was_read_is_read_when_it_returns(
    library: Library,
) -> None:
    library.scan()
    library.register_all()
    path, away = library.root / "2024/05.jpg", library.root.parent / "away.jpg"
    former = library.images()["2024/05.jpg"].content_hash
    draw_photo(path, 101)
    touch(path)
    library.scan()
    path.rename(away)
    library.scan()
    away.rename(path)
    assert counts(library.scan())["returned"] == 1
    assert library.images()["2024/05.jpg"].state == ImageState.DISCOVERED
    library.register_all()
    image = library.images()["2024/05.jpg"]
    assert image.state == ImageState.REGISTERED
    assert image.content_hash != former


def test_a_moved_file_is_a_new_image_and_the_former_one_is_missing(library: Library) -> None:
    library.scan()
    (library.root / "2023/00.jpg").rename(library.root / "2024/moved.jpg")
    assert counts(library.scan()) == {"files": PHOTOS, "new": 1, "missing": 1, "unchanged": PHOTOS - 1}


def test_weird_names_survive_the_way_into_the_catalog_and_back(any_library: Library) -> None:
    library = any_library
    for number, name in enumerate(WEIRD_NAMES):
        draw_photo(library.root / f"weird \udcff\n{number % 2}" / name, 200 + number)
    expected = {f"weird \udcff\n{number % 2}/{name}" for number, name in enumerate(WEIRD_NAMES)}
    assert library.scan().new == PHOTOS + len(WEIRD_NAMES)
    found = {path for path in library.images() if path.startswith("weird")}
    assert found == expected
    assert all((library.root / path).is_file() for path in found)
    library.register_all()
    assert {library.states()[path] for path in expected} == {"registered"}
    assert library.scan().unchanged == PHOTOS + len(WEIRD_NAMES)


def test_an_image_keeps_its_id_and_shard_and_a_shard_its_capacity(library: Library) -> None:
    library.scan(shard_capacity=12)
    before = ids(library)
    for number in range(9):
        draw_photo(library.root / f"2021/{number}.jpg", 300 + number)
    library.scan(shard_capacity=5)
    after = ids(library)
    assert {path: place for path, place in after.items() if path in before} == before
    sizes: dict[str, int] = {}
    for _, shard in after.values():
        sizes[shard] = sizes.get(shard, 0) + 1
    # The third shard was begun with room for 12; those after it hold 5.
    assert sizes == {"photos-00000": 12, "photos-00001": 12, "photos-00002": 12, "photos-00003": 1}
    assert [after[f"2021/{number}.jpg"][1] for number in (0, 7, 8)] == ["photos-00002"] * 2 + ["photos-00003"]


def test_a_time_beyond_what_the_catalog_can_hold_is_the_last_one_that_it_can(any_library: Library) -> None:
    library = any_library
    photo = library.root / "2023/00.jpg"
    os.utime(photo, ns=(0, 12_000_000_000 * 10**9))  # in 2350, as ext4 once stored times before 1970
    if photo.stat().st_mtime_ns < 2**63:
        pytest.skip("the file system has no time beyond April 2262")
    assert counts(library.scan()) == {"files": PHOTOS, "new": PHOTOS}
    library.register_all()
    assert library.images()["2023/00.jpg"].mtime_ns == 2**63 - 1
    assert library.states()["2023/00.jpg"] == "registered"
    assert counts(library.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}


def test_ids_are_not_given_again(library: Library) -> None:
    library.scan()
    highest = max(row.id for row in library.images().values())
    (library.root / "2024/12.jpg").unlink()
    library.scan()
    draw_photo(library.root / "2024/13.jpg", 400)
    library.scan()
    assert library.images()["2024/13.jpg"].id == highest + 1


@pytest.mark.parametrize("absence", ["gone", "empty", "swapped"])
def test_a_source_that_is_not_there_marks_nothing_as_missing(library: Library, absence: str) -> None:
    library.scan()
    before = library.images()
    library.root.rename(library.root.parent / "unplugged")
    if absence == "empty":
        library.root.mkdir()
    elif absence == "swapped":
        library.root.write_bytes(b"a file")
    with pytest.raises(SourceUnavailableError, match="Mount the disk"):
        library.scan()
    assert library.images() == before
    job = library.jobs(JobKind.SCAN)[-1]
    assert job.state == JobState.FAILED
    assert job.error.startswith("SourceUnavailableError: ")


def test_a_source_that_is_unplugged_while_it_is_scanned_marks_nothing_as_missing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.scan()
    opened = os.open

    def unplug_at_the_second_year(path: Path, flags: int) -> int:
        if Path(path).name == "2024":
            library.root.rename(library.root.parent / "unplugged")
            library.root.mkdir()
        return opened(path, flags)

    monkeypatch.setattr(os, "open", unplug_at_the_second_year)
    with pytest.raises(SourceUnavailableError, match="no image was marked as missing"):
        library.scan()
    assert set(library.states().values()) == {"discovered"}


def test_the_last_file_of_a_source_that_still_has_others_may_go(library: Library) -> None:
    library.scan()
    for path in library.root.rglob("*.jpg"):
        path.unlink()
    (library.root / "note.txt").touch()
    assert counts(library.scan()) == {"missing": PHOTOS}


def test_what_lies_below_an_unreadable_folder_stays_as_it_is(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.scan()
    opened = os.open

    def refuse(path: Path, flags: int) -> int:
        if Path(path).name == "2023":
            raise PermissionError(13, "Permission denied")
        return opened(path, flags)

    (library.root / "2024/00.jpg").unlink()
    monkeypatch.setattr(os, "open", refuse)
    report = library.scan()
    assert counts(report) == {"files": 12, "missing": 1, "unchanged": 12}
    assert report.unreadable == {"2023/": "Permission denied"}
    assert [path for path, state in library.states().items() if state == "missing"] == ["2024/00.jpg"]


def test_pages_and_batches_of_any_size_give_the_same_rows(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "BATCH_FILES", 3)
    monkeypatch.setattr(known_files, "CATALOG_PAGE", 4)
    assert counts(library.scan()) == {"files": PHOTOS, "new": PHOTOS}
    for number in range(0, 13, 2):
        (library.root / f"2023/{number:02}.jpg").unlink()
        draw_photo(library.root / f"2023/{number:02}b.jpg", 500 + number)
        touch(library.root / f"2024/{number:02}.jpg")
    assert counts(library.scan()) == {
        "files": PHOTOS, "new": 7, "changed": 7, "missing": 7, "unchanged": 14,
    }  # fmt: skip
    assert counts(library.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}


def test_a_scan_that_is_killed_has_lost_nothing_and_the_next_finds_the_rest(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "BATCH_FILES", 5)

    class KilledError(BaseException):
        pass

    def die(progress: object) -> None:
        if len(library.images()) >= 10:
            raise KilledError

    with pytest.raises(KilledError):
        library.scan(on_progress=die)
    kept = ids(library)
    assert len(kept) == 10
    assert counts(library.scan()) == {"files": PHOTOS, "new": PHOTOS - 10, "unchanged": 10}
    assert {path: place for path, place in ids(library).items() if path in kept} == kept
    assert [job.state for job in library.jobs(JobKind.SCAN)] == [JobState.INTERRUPTED, JobState.SUCCEEDED]


def test_the_progress_of_a_scan_is_in_its_job(library: Library) -> None:
    library.scan()
    (job,) = library.jobs(JobKind.SCAN)
    assert (job.state, job.done, job.total) == (JobState.SUCCEEDED, PHOTOS, PHOTOS)
