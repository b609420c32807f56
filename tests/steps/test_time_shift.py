"""Files whose times have all shifted are not read again, and a file that really changed is still found."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image
from photolineage.catalog.vocabulary import ImageState
from photolineage.lineage import JobKind
from photolineage.steps import scan as scanning
from tests.library import Library, rot
from tests.steps.conftest import PHOTOS, counts

HOUR = 3600 * 10**9
SECOND = 10**9
XMP = "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def retime(library: Library, new_time: Callable[[int], int], *, keep: frozenset[str] = frozenset()) -> None:
    """Give each file another time, without a change of its content."""
    for path in library.root.rglob("*.jpg"):
        if path.relative_to(library.root).as_posix() not in keep:
            time = new_time(path.stat().st_mtime_ns)
            os.utime(path, ns=(time, time))


def facts(library: Library) -> dict[str, tuple[object, ...]]:
    return {
        path: (row.id, row.state, row.content_hash, row.size_bytes, row.registered_at)
        for path, row in library.images().items()
    }


@pytest.mark.parametrize(
    ("new_time", "said"),
    [
        (lambda time: time + HOUR, "by 1:00 h (later) from"),
        (lambda time: time - 2 * HOUR, "by 2:00 h (earlier) from"),
        (lambda time: time + 11 * HOUR // 2, "by 5:30 h (later) from"),
        (lambda time: time // (2 * SECOND) * 2 * SECOND, "by at most 2 s from"),
        (lambda time: time // (2 * SECOND) * 2 * SECOND + HOUR, "by 1:00 h (later) and by at most 2 s from"),
    ],
)
def test_files_whose_times_have_all_shifted_are_not_read_again(
    registered: Library, new_time: Callable[[int], int], said: str
) -> None:
    retime(registered, lambda time: time + 123_456_789)  # so that every time needs rounding
    registered.scan()
    registered.register_all()
    before = facts(registered)
    revisions = [registered.revision(key) for key in registered.shard_keys()]
    retime(registered, new_time)
    report = registered.scan()
    assert counts(report) == {"files": PHOTOS, "retimed": PHOTOS}
    assert said in report.time_shift
    assert "so is the content of 14 of them" in report.time_shift
    assert facts(registered) == before
    assert [registered.revision(key) for key in registered.shard_keys()] == revisions
    report = registered.scan()
    assert (counts(report), report.time_shift) == ({"files": PHOTOS, "unchanged": PHOTOS}, "")


def test_sidecars_shift_with_their_photos_and_a_changed_one_is_read(registered: Library) -> None:
    sidecars = {name: registered.root / f"2023/{name}.jpg.xmp" for name in ("07", "09")}
    for sidecar in sidecars.values():
        sidecar.write_text(XMP)
    registered.scan()
    registered.register_all()
    retime(registered, lambda time: time + HOUR)
    for sidecar in sidecars.values():
        time = sidecar.stat().st_mtime_ns + HOUR
        os.utime(sidecar, ns=(time, time))
    sidecars["09"].write_text(XMP + " ")  # another size
    assert counts(registered.scan()) == {"files": PHOTOS, "changed": 1, "retimed": PHOTOS - 1}
    states = {path: row.state for path, row in registered.images().items()}
    assert [path for path, state in states.items() if state == ImageState.DISCOVERED] == ["2023/09.jpg"]
    registered.register_all()
    assert counts(registered.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}


@pytest.mark.parametrize("damaged", ["07.jpg.xmp", "07.jpg.xmp/{size}/soon", "07.jpg.xmp/{size}/1//"])
def test_a_damaged_record_of_sidecars_is_no_shift(registered: Library, damaged: str) -> None:
    sidecar = registered.root / "2023/07.jpg.xmp"
    sidecar.write_text(XMP)
    registered.scan()
    registered.register_all()
    with write_transaction(registered.engine) as connection:
        of_photo = Image.path == "2023/07.jpg"
        connection.execute(update(Image).where(of_photo).values(sidecars=damaged.format(size=len(XMP))))
    retime(registered, lambda time: time + HOUR)
    assert counts(registered.scan()) == {"files": PHOTOS, "changed": 1, "retimed": PHOTOS - 1}


def test_a_shift_is_recorded_on_each_database(any_library: Library) -> None:
    any_library.scan()
    any_library.register_all()
    retime(any_library, lambda time: time + HOUR)
    assert counts(any_library.scan()) == {"files": PHOTOS, "retimed": PHOTOS}
    assert counts(any_library.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}


def test_a_file_that_really_changed_in_the_same_scan_is_found(registered: Library) -> None:
    root = registered.root
    gone = registered.images()["2024/12.jpg"]
    (root / "2024/12.jpg").rename(root.parent / "away.jpg")
    registered.scan()
    (root / "2024/12.jpg").write_bytes((root.parent / "away.jpg").read_bytes())
    os.utime(root / "2024/12.jpg", ns=(gone.mtime_ns, gone.mtime_ns))
    with (root / "2023/07.jpg").open("ab") as file:
        file.write(b"another size")
    times = (root / "2023/07.jpg").stat().st_mtime_ns
    os.utime(root / "2023/07.jpg", ns=(times, registered.images()["2023/07.jpg"].mtime_ns))
    retime(registered, lambda time: time + HOUR)
    edited = root / "2023/09.jpg"
    rot(edited)
    os.utime(edited, ns=(0, edited.stat().st_mtime_ns + 5 * SECOND))
    report = registered.scan()
    assert counts(report) == {"files": PHOTOS, "changed": 2, "returned": 1, "retimed": PHOTOS - 3}
    images = registered.images()
    assert {path for path, row in images.items() if row.state == ImageState.DISCOVERED} == {
        "2023/07.jpg",
        "2023/09.jpg",
    }
    assert images["2024/12.jpg"].content_hash == gone.content_hash
    registered.register_all()
    assert counts(registered.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}


@pytest.mark.parametrize(
    ("new_time", "kept"),
    [
        (lambda time: time + HOUR + 3 * SECOND, 0),
        (lambda time: time + 27 * HOUR, 0),
        (lambda time: time + HOUR, 4),
        (lambda time: time // SECOND * SECOND, 20),
    ],
)
def test_without_one_shift_of_nearly_all_files_the_changed_files_are_read(
    registered: Library, new_time: Callable[[int], int], kept: int
) -> None:
    paths = list(registered.images())
    retime(registered, new_time, keep=frozenset(paths[:kept]))
    report = registered.scan()
    assert (report.changed, report.unchanged, report.retimed) == (PHOTOS - kept, kept, 0)
    assert report.time_shift == ""


def test_no_shift_is_assumed_if_the_content_of_the_sample_differs(registered: Library) -> None:
    rot(registered.root / "2023/00.jpg")  # the first of the sample is always compared
    retime(registered, lambda time: time + HOUR)
    assert counts(registered.scan()) == {"files": PHOTOS, "changed": PHOTOS}


def test_no_shift_is_assumed_if_the_sample_cannot_be_read(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    retime(registered, lambda time: time + HOUR)
    opened = os.open

    def refuse(path: str, flags: int) -> int:
        if Path(path).suffix == ".jpg":
            raise PermissionError(13, "Permission denied")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    assert counts(registered.scan()) == {"files": PHOTOS, "changed": PHOTOS}


def test_a_scan_that_is_killed_while_it_records_a_shift_is_continued(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts(registered)
    monkeypatch.setattr(scanning, "BATCH_FILES", 5)
    retime(registered, lambda time: time + HOUR)

    class KilledError(BaseException):
        pass

    def die(progress: object) -> None:
        if registered.jobs(JobKind.SCAN)[-1].done >= 15:
            raise KilledError

    with pytest.raises(KilledError):
        registered.scan(on_progress=die)
    assert facts(registered) == before
    report = registered.scan()
    assert counts(report) == {"files": PHOTOS, "unchanged": 15, "retimed": PHOTOS - 15}
    assert facts(registered) == before
    assert counts(registered.scan()) == {"files": PHOTOS, "unchanged": PHOTOS}


def test_images_that_are_not_read_yet_are_due_after_a_shift(registered: Library) -> None:
    """A registration may be reading them, and does not record them, because their rows have other times."""
    (registered.root / "2023/01.jpg").write_bytes((registered.root / "2023/02.jpg").read_bytes())
    registered.scan()
    revision = registered.revision("photos-00000")
    retime(registered, lambda time: time + HOUR)
    assert counts(registered.scan()) == {"files": PHOTOS, "retimed": PHOTOS}
    assert registered.images()["2023/01.jpg"].state == ImageState.DISCOVERED
    assert registered.revision("photos-00000") == revision + 1
    registered.register_all()
    assert registered.images()["2023/01.jpg"].state == ImageState.REGISTERED
