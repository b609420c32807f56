"""Verifying reads originals again: it finds rot, and takes neither an edit nor a disk that is away for it."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import reading, write_transaction
from photolineage.catalog.orm import Image, MlJob
from photolineage.catalog.verification import RottenOriginal, count_rotten, find_rotten, last_verified
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.media.original import hash_content
from photolineage.steps import verify
from photolineage.steps.jobs import InterruptedAtCheckpointError
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.steps.tree_walk import SourceUnavailableError
from photolineage.steps.verify import VerificationReport, describe_copy, find_due
from tests.library import Library, rot, touch

FIRST = "photos-00000"
"""2023/00.jpg to 2023/09.jpg."""


def verified(
    library: Library, *, checkpoint: int = 4, on_progress: OnProgress = ignore_progress
) -> VerificationReport:
    return library.verify(FIRST, checkpoint_images=checkpoint, on_progress=on_progress)


def rotten(library: Library, shard: str = FIRST) -> list[RottenOriginal]:
    with reading(library.engine) as connection:
        return find_rotten(connection, shard)


def test_intact_originals_are_verified_with_their_time(any_library: Library) -> None:
    any_library.scan()
    any_library.register_all()
    began = datetime.now(UTC)
    report = verified(any_library)
    assert (report.total, report.resumed, report.verified, report.done) == (10, 0, 10, 10)
    assert (report.rotten, report.changed, report.unreadable) == ([], [], {})
    images = list(any_library.images().values())
    assert report.read_bytes == sum(row.size_bytes for row in images[:10])
    assert report.megabytes_per_second > 0
    assert all(began <= row.verified_at for row in images[:10])
    assert [row.verified_at for row in images[10:]] == [None] * 18
    with reading(any_library.engine) as connection:
        assert list(last_verified(connection)) == [FIRST]
        assert count_rotten(connection) == {}
    (job,) = any_library.jobs(JobKind.VERIFY)
    assert (job.state, job.total, job.done, job.failed) == (JobState.SUCCEEDED, 10, 10, 0)


def test_rot_is_recorded_and_an_intact_copy_is_named(any_library: Library) -> None:
    any_library.scan()
    any_library.register_all()
    verified(any_library)
    rot(any_library.root / "2023/03.jpg")
    rot(any_library.root / "2023/04.jpg")
    report = verified(any_library)
    assert (report.rotten, report.verified) == (["2023/03.jpg", "2023/04.jpg"], 8)
    with_copy, without = rotten(any_library)
    assert (with_copy.path, [copy.path for copy in with_copy.copies]) == ("2023/03.jpg", ["2023/copy.jpg"])
    assert with_copy.verified_at is not None
    assert with_copy.verified_at < with_copy.found_at
    copy = any_library.root / "2023/copy.jpg"
    assert describe_copy(with_copy) == f"Restore it from {copy} (source photos, not verified yet)."
    assert "restore it from a backup" in describe_copy(without)
    any_library.verify("photos-00001")
    assert f"verified {datetime.now(UTC):%Y-%m-%d}" in describe_copy(rotten(any_library)[0])
    copy.unlink()
    assert "its disk is away now" in describe_copy(rotten(any_library)[0])
    with reading(any_library.engine) as connection:
        assert count_rotten(connection) == {"photos": 2}


@pytest.mark.parametrize("with_its_time", [True, False])
def test_a_file_that_was_restored_is_no_longer_rotten(registered: Library, with_its_time: bool) -> None:
    path = registered.root / "2023/03.jpg"
    rot(path)
    verified(registered)
    assert [one.path for one in rotten(registered)] == ["2023/03.jpg"]
    mtime = path.stat().st_mtime_ns
    path.write_bytes((registered.root / "2023/copy.jpg").read_bytes())
    if with_its_time:
        os.utime(path, ns=(mtime, mtime))
    else:
        registered.scan()
        registered.register_all()
    assert verified(registered).verified == 10
    assert rotten(registered) == []


def test_a_file_that_somebody_changed_is_not_rotten(registered: Library) -> None:
    rot(registered.root / "2023/00.jpg")
    touch(registered.root / "2023/00.jpg")
    with (registered.root / "2023/01.jpg").open("ab") as file:
        file.write(b"larger")
    mtime = registered.images()["2023/01.jpg"].mtime_ns
    os.utime(registered.root / "2023/01.jpg", ns=(mtime, mtime))
    report = verified(registered)
    assert (report.changed, report.rotten, report.verified) == (["2023/00.jpg", "2023/01.jpg"], [], 8)
    assert rotten(registered) == []
    assert registered.scan().changed == 2


def test_a_file_that_is_written_while_it_is_read_is_not_rotten(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:

    def written_meanwhile(descriptor: int, on_read: Callable[[int], None]) -> str:
        touch(registered.root / "2023/00.jpg")
        hash_content(descriptor, on_read)
        return "0" * 32

    monkeypatch.setattr("photolineage.steps.verify.hash_content", written_meanwhile)
    assert verified(registered).changed[0] == "2023/00.jpg"


def test_a_file_that_cannot_be_read_is_not_rotten(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: str, flags: int, **options: int) -> int:
        if Path(path).name == "05.jpg":
            raise OSError(5, "Input/output error")
        return opened(path, flags, **options)

    monkeypatch.setattr(os, "open", refuse)
    (registered.root / "2023/06.jpg").unlink()
    report = verified(registered)
    assert report.unreadable == {
        "2023/05.jpg": "unreadable: Input/output error",
        "2023/06.jpg": "vanished: No such file or directory",
    }
    assert (report.verified, report.rotten, rotten(registered)) == (8, [], [])
    assert registered.jobs(JobKind.VERIFY)[-1].failed == 2


def test_reads_that_differ_are_no_rot(registered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = iter("12")

    def flip(descriptor: int, on_read: Callable[[int], None]) -> str:
        found = hash_content(descriptor, on_read)
        return next(reads, "") + found[1:] if found == third else found

    third = registered.images()["2023/02.jpg"].content_hash
    if third[0] in "12":
        reads = iter("34")
    monkeypatch.setattr("photolineage.steps.verify.hash_content", flip)
    report = verified(registered)
    assert list(report.unreadable) == ["2023/02.jpg"]
    assert "Check the disk, its cable and the memory" in report.unreadable["2023/02.jpg"]
    assert report.rotten == []


def test_an_unplugged_disk_is_told_and_is_no_rot(registered: Library) -> None:
    def unplug(progress: Progress) -> None:
        if progress.done == 4:
            registered.root.rename(registered.root.parent / "unplugged")

    with pytest.raises(SourceUnavailableError, match="Mount the disk"):
        verified(registered, on_progress=unplug)
    assert rotten(registered) == []
    with pytest.raises(SourceUnavailableError, match="Mount the disk"):
        verified(registered)
    (registered.root.parent / "unplugged").rename(registered.root)
    assert (report := verified(registered)).resumed == 4
    assert report.verified == 6


def test_a_killed_run_is_continued_and_the_next_round_begins_anew(registered: Library) -> None:
    class KilledError(BaseException):
        pass

    rot(registered.root / "2023/01.jpg")

    def die(progress: Progress) -> None:
        if progress.done == 4:
            raise KilledError

    with pytest.raises(KilledError):
        verified(registered, on_progress=die)
    first = registered.images()["2023/00.jpg"].verified_at
    report = verified(registered)
    assert (report.total, report.resumed, report.verified, report.rotten) == (10, 4, 6, [])
    assert registered.images()["2023/00.jpg"].verified_at == first
    assert [one.path for one in rotten(registered)] == ["2023/01.jpg"]
    report = verified(registered)
    assert (report.resumed, report.verified, report.rotten) == (0, 9, ["2023/01.jpg"])
    assert registered.images()["2023/00.jpg"].verified_at > first


def test_a_round_that_was_left_a_week_ago_begins_anew(registered: Library) -> None:
    verified(registered)
    long_ago = datetime.now(UTC) - timedelta(days=8)
    with write_transaction(registered.engine) as connection:
        connection.execute(update(MlJob).values(state=JobState.FAILED))
        connection.execute(update(Image).where(Image.path != "2023/00.jpg").values(verified_at=long_ago))
    assert verified(registered).resumed == 1


def test_a_run_ends_at_a_checkpoint_when_it_is_asked_to(registered: Library) -> None:
    def ask(progress: Progress) -> None:
        if progress.done == 4:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(InterruptedAtCheckpointError, match="4 of 10"):
        verified(registered, on_progress=ask)
    assert registered.jobs(JobKind.VERIFY)[-1].state == JobState.INTERRUPTED


def test_a_checkpoint_ends_after_a_while(registered: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "CHECKPOINT_SECONDS", 0.0)
    seen: list[int] = []
    verified(registered, checkpoint=500, on_progress=lambda progress: seen.append(progress.done))
    assert seen == list(range(11))


def test_a_run_reads_no_faster_than_it_may(registered: Library) -> None:
    size = sum(row.size_bytes for row in list(registered.images().values())[:10])
    began = time.monotonic()
    report = registered.verify(FIRST, megabytes_per_second=size / 1e6 / 0.5)
    assert time.monotonic() - began >= 0.45
    assert report.megabytes_per_second <= size / 1e6 / 0.45


def test_what_a_scan_changes_meanwhile_is_not_recorded(registered: Library) -> None:
    def change(progress: Progress) -> None:
        if progress.done == 0:
            with write_transaction(registered.engine) as connection:
                connection.execute(
                    update(Image).where(Image.path == "2023/00.jpg").values(content_hash=None, mtime_ns=1)
                )

    verified(registered, on_progress=change)
    assert registered.images()["2023/00.jpg"].verified_at is None
    assert registered.images()["2023/01.jpg"].verified_at is not None


def test_an_original_that_is_registered_with_other_content_is_not_verified(registered: Library) -> None:
    verified(registered)
    rot(registered.root / "2023/00.jpg")
    touch(registered.root / "2023/00.jpg")
    registered.scan()
    registered.register_all()
    assert registered.images()["2023/00.jpg"].verified_at is None
    assert registered.images()["2023/01.jpg"].verified_at is not None


def test_shards_are_due_that_were_never_or_long_not_verified(registered: Library) -> None:
    def due(days: float) -> list[str]:
        with reading(registered.engine) as connection:
            return find_due(connection, "photos", timedelta(days=days))

    assert due(30) == ["photos-00000", "photos-00001", "photos-00002"]
    registered.verify("photos-00000")
    registered.verify("photos-00002")
    assert due(30) == ["photos-00001"]
    assert due(0) == ["photos-00001", "photos-00000", "photos-00002"]


def test_files_are_read_from_the_disk_and_not_from_the_cache(
    registered: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[int] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *arguments: forgotten.append(arguments[3]))
    assert verified(registered).verified == 10
    assert forgotten == [os.POSIX_FADV_DONTNEED] * 20
