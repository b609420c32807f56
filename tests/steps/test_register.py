"""Each original is read once; what it is, or why it cannot be read, is in its row."""

import io
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from sqlalchemy import func, select

from photolineage.catalog.leases import LeaseHeldError
from photolineage.catalog.orm import ShardFile
from photolineage.catalog.queries import UnknownPartitionError, committed_files, find_shard
from photolineage.catalog.vocabulary import FailureReason, FileKind, ImageState, JobState, TakenAtSource
from photolineage.lineage import JobKind
from photolineage.media import read_original
from photolineage.settings import Settings
from photolineage.steps import register as registering
from photolineage.steps.jobs import running_job
from photolineage.steps.progress import Progress
from photolineage.steps.tree_walk import SourceUnavailableError
from tests.library import Library, draw_photo, touch

FIRST = "photos-00000"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each original was read, by file name."""
    counter: Counter[str] = Counter()

    def count(path: str, *, assumed_time_zone: str, sidecars: Sequence[str]) -> object:
        counter[os.path.basename(path)] += 1
        return read_original(path, assumed_time_zone=assumed_time_zone, sidecars=sidecars)

    monkeypatch.setattr(registering, "read_original", count)
    return counter


def committed_previews(library: Library, shard_key: str) -> list[str]:
    with library.engine.connect() as connection:
        shard = find_shard(connection, shard_key)
        return [file.path for file in committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)]


def test_every_image_is_registered_or_has_a_reason(any_library: Library) -> None:
    library = any_library
    library.scan()
    reports = library.register_all()
    assert [report.read for report in reports.values()] == [10, 10, 8]
    images = library.images()
    assert Counter(str(row.state) for row in images.values()) == {"registered": 27, "failed": 1}
    torn = images["2023/torn.jpg"]
    assert (torn.state, torn.failure_reason) == (ImageState.FAILED, FailureReason.CORRUPT)
    assert torn.failure_detail
    assert torn.content_hash is None
    second = reports["photos-00001"]
    assert (second.registered, second.duplicates, second.failed) == (9, 1, 1)
    assert second.failures == {"corrupt": 1}


def test_the_facts_are_those_of_the_file(any_library: Library) -> None:
    any_library.scan()
    any_library.register_all()
    images = any_library.images()
    dated, undated = images["2023/02.jpg"], images["2023/01.jpg"]
    assert (dated.format, dated.width, dated.height, dated.orientation) == ("JPEG", 96, 72, 1)
    assert dated.taken_at == datetime(2023, 6, 1, 12, 2, tzinfo=UTC)
    assert (dated.taken_at_source, dated.utc_offset_minutes) == (TakenAtSource.EXIF, 0)
    assert undated.taken_at_source == TakenAtSource.FILE_TIME
    assert abs(undated.taken_at.timestamp() - undated.mtime_ns / 1e9) < 1e-5
    assert dated.registered_at is not None
    assert not dated.truncated


def test_each_registered_image_has_its_preview(library: Library) -> None:
    library.scan()
    library.register_all()
    reader = library.previews.open(
        [path for key in library.shard_keys() for path in committed_previews(library, key)]
    )
    for path, row in library.images().items():
        if row.state == ImageState.FAILED:
            continue
        jpeg = reader.jpeg(row.id, row.content_hash)
        assert jpeg is not None
        preview = PillowImage.open(io.BytesIO(jpeg))
        original = PillowImage.open(library.root / path)
        assert preview.size == original.size
        difference = [
            abs(int(a) - int(b)) for a, b in zip(preview.tobytes(), original.tobytes(), strict=True)
        ]
        assert sum(difference) / len(difference) < 4
    assert len(reader.contents()) == 27


def test_nothing_is_read_twice(library: Library, reads: Counter[str]) -> None:
    library.scan()
    library.register_all()
    assert reads.total() == 28
    reads.clear()
    library.scan()
    reports = library.register_all()
    assert reads == {}
    assert [(report.read, report.resumed) for report in reports.values()] == [(0, 10), (0, 10), (0, 8)]


def test_only_what_has_changed_is_read_again_failures_too(library: Library, reads: Counter[str]) -> None:
    library.scan()
    library.register_all()
    reads.clear()
    touch(library.root / "2024/00.jpg")
    draw_photo(library.root / "2023/torn.jpg", 100)
    library.scan()
    library.register_all()
    assert reads == {"00.jpg": 1, "torn.jpg": 1}
    mended = library.images()["2023/torn.jpg"]
    assert mended.state == ImageState.REGISTERED
    assert (mended.failure_reason, mended.failure_detail) == (None, None)


def test_a_file_that_becomes_unreadable_loses_its_content(library: Library) -> None:
    library.scan()
    library.register_all()
    (library.root / "2023/00.jpg").write_bytes(b"")
    library.scan()
    library.register_all()
    image = library.images()["2023/00.jpg"]
    assert (image.state, image.failure_reason) == (ImageState.FAILED, FailureReason.EMPTY)
    assert image.content_hash is None


def test_the_copy_points_at_the_first_and_takes_its_place_when_that_vanishes(any_library: Library) -> None:
    library = any_library
    library.scan()
    library.register_all()
    images = library.images()
    first, copy = images["2023/03.jpg"], images["2023/copy.jpg"]
    assert first.content_hash == copy.content_hash
    assert (first.duplicate_of_id, copy.duplicate_of_id) == (None, first.id)
    assert (first.shard, copy.shard) == (FIRST, "photos-00001")
    revision = library.revision(copy.shard)
    (library.root / "2023/03.jpg").unlink()
    library.scan()
    assert library.images()["2023/copy.jpg"].duplicate_of_id is None
    assert library.revision(copy.shard) == revision + 1


def test_the_copy_takes_its_place_also_when_the_first_gets_other_content(library: Library) -> None:
    library.scan()
    library.register_all()
    draw_photo(library.root / "2023/03.jpg", 100)
    touch(library.root / "2023/03.jpg")
    library.scan()
    library.register_all()
    images = library.images()
    assert images["2023/copy.jpg"].duplicate_of_id is None
    assert images["2023/03.jpg"].content_hash != images["2023/copy.jpg"].content_hash


def test_a_truncated_file_is_registered_and_flagged(any_library: Library) -> None:
    path = any_library.root / "2023/00.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    any_library.scan()
    report = any_library.register(FIRST)
    assert (report.registered, report.truncated, report.failed) == (10, 1, 0)
    images = any_library.images()
    assert [name for name, row in images.items() if row.truncated] == ["2023/00.jpg"]
    assert images["2023/00.jpg"].state == ImageState.REGISTERED


def test_copies_in_shards_registered_in_another_order_end_the_same(library: Library) -> None:
    library.scan()
    library.register("photos-00001")
    assert library.images()["2023/copy.jpg"].duplicate_of_id is None
    library.register(FIRST)
    images = library.images()
    assert images["2023/copy.jpg"].duplicate_of_id == images["2023/03.jpg"].id


def test_a_checkpoint_is_a_file_and_its_record(library: Library) -> None:
    library.scan()
    report = library.register(FIRST)
    assert report.checkpoints == 3
    with library.engine.connect() as connection:
        records = connection.execute(
            select(ShardFile.path, ShardFile.row_count, ShardFile.size_bytes).order_by(ShardFile.id)
        ).all()
    assert [record.row_count for record in records] == [4, 4, 2]
    assert [record.size_bytes for record in records] == [
        (library.settings.home / record.path).stat().st_size for record in records
    ]
    assert report.preview_bytes == sum(record.size_bytes for record in records)
    assert report.read_bytes == sum(row.size_bytes for row in list(library.images().values())[:10])


def test_a_checkpoint_without_a_readable_image_has_no_file(library: Library) -> None:
    for path in library.root.rglob("*.jpg"):
        path.write_bytes(b"no image")
    library.scan()
    assert library.register(FIRST).failed == 10
    assert committed_previews(library, FIRST) == []
    assert not (library.settings.home / library.previews.folder(FIRST)).exists()


def test_a_run_that_dies_loses_its_open_checkpoint_only(library: Library, reads: Counter[str]) -> None:
    library.scan()

    class KilledError(BaseException):
        pass

    def die_at_the_seventh(progress: Progress) -> None:
        if progress.done == 7:
            raise KilledError

    with pytest.raises(KilledError):
        library.register(FIRST, on_progress=die_at_the_seventh)
    assert list(library.states().values())[:10] == ["registered"] * 4 + ["discovered"] * 6
    (job,) = library.jobs(JobKind.REGISTER)
    assert (job.state, job.done, job.total) == (JobState.INTERRUPTED, 4, 10)
    reads.clear()
    report = library.register(FIRST)
    assert (report.resumed, report.read, report.registered) == (4, 6, 10)
    assert reads.total() == 6
    job = library.jobs(JobKind.REGISTER)[-1]
    assert (job.state, job.done, job.failed, job.total) == (JobState.SUCCEEDED, 10, 0, 10)


def test_progress_counts_every_image_and_failure_once_also_after_a_resume(library: Library) -> None:
    library.scan()
    seen: list[Progress] = []
    library.register("photos-00001", on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(11))
    assert seen[-1] == Progress(10, 10, 1, 0)
    touch(library.root / "2024/00.jpg")
    library.scan()
    seen.clear()
    library.register("photos-00001", on_progress=seen.append)
    assert seen == [Progress(9, 10, 1, 9), Progress(10, 10, 1, 9)]
    job = library.jobs(JobKind.REGISTER)[-1]
    assert (job.done, job.failed, job.total) == (10, 1, 10)


def test_the_version_of_a_registration_is_the_revision_that_it_saw(library: Library) -> None:
    library.scan()
    touch(library.root / "2023/00.jpg")
    library.scan()
    library.register(FIRST)
    assert [job.input_version for job in library.jobs(JobKind.REGISTER)] == ["2"]


def test_files_of_no_record_are_swept(library: Library) -> None:
    library.scan()
    library.register(FIRST)
    directory = library.settings.home / library.previews.folder(FIRST)
    committed = sorted(os.listdir(directory))
    shutil.copy(directory / committed[0], directory / "00009999-0000.arrow")
    (directory / ".partial-00009999-0001.arrow").touch()
    library.register(FIRST)
    assert sorted(os.listdir(directory)) == committed


def test_a_second_run_stops_without_writing(library: Library, reads: Counter[str]) -> None:
    library.scan()
    with (
        running_job(library.context("the-first"), JobKind.REGISTER, FIRST, input_version="1"),
        pytest.raises(LeaseHeldError, match="run the-first"),
    ):
        library.register(FIRST)
    assert reads == {}
    assert not (library.settings.home / library.previews.folder(FIRST)).exists()


def test_what_a_scan_saw_change_meanwhile_is_not_taken_for_read(library: Library) -> None:
    """Files are read for as long as a checkpoint takes, and a scan may come between reading and commit."""
    library.scan()
    changed, gone = library.root / "2023/00.jpg", library.root / "2023/01.jpg"

    def change_before_the_commit(progress: Progress) -> None:
        if progress.done == 4 and gone.exists():
            draw_photo(changed, 100)
            touch(changed)
            gone.unlink()
            library.scan()

    library.register(FIRST, on_progress=change_before_the_commit)
    assert list(library.states().values())[:4] == ["discovered", "missing", "registered", "registered"]
    assert library.revision(FIRST) == 3  # once for what has changed, once for what is gone
    library.register(FIRST)
    images = library.images()
    assert images["2023/00.jpg"].content_hash == read_original(changed).content_hash
    assert images["2023/01.jpg"].state == ImageState.MISSING


def test_a_source_that_goes_away_blames_no_image(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.scan()
    unplugged = library.root.parent / "unplugged"
    first_checkpoint_is_read, unplugging = threading.Event(), threading.Lock()

    def unplug_before_the_seventh(path: str, *, assumed_time_zone: str, sidecars: Sequence[str]) -> object:
        if os.path.basename(path) >= "06.jpg":
            assert first_checkpoint_is_read.wait(timeout=60)
            with unplugging:
                if library.root.exists():
                    library.root.rename(unplugged)
        return read_original(path, assumed_time_zone=assumed_time_zone, sidecars=sidecars)

    def note(progress: Progress) -> None:
        if progress.done == 4:
            first_checkpoint_is_read.set()

    with monkeypatch.context() as patch:
        patch.setattr(registering, "read_original", unplug_before_the_seventh)
        with pytest.raises(SourceUnavailableError, match="became unavailable while its images were read"):
            library.register(FIRST, on_progress=note)
    assert Counter(library.states().values()) == {"registered": 4, "discovered": 24}
    unplugged.rename(library.root)
    assert library.register(FIRST).registered == 10


def test_a_file_that_vanished_from_a_source_that_is_there_is_a_row_with_a_reason(library: Library) -> None:
    library.scan()
    (library.root / "2023/00.jpg").unlink()
    report = library.register(FIRST)
    assert (report.registered, report.failed) == (9, 1)
    assert library.images()["2023/00.jpg"].failure_reason == FailureReason.VANISHED
    library.scan()
    assert library.images()["2023/00.jpg"].state == ImageState.MISSING


def test_an_unknown_shard_is_refused(library: Library) -> None:
    with pytest.raises(UnknownPartitionError, match="Materialize source_files first"):
        library.register("photos-00042")


def test_real_photos_are_registered_but_for_the_corrupt_ones(
    library: Library, make_library: Callable[[str], Library], real_photos: Path
) -> None:
    settings: Settings = library.settings.model_copy(
        update={
            "sources": {"photos": library.settings.sources["photos"].model_copy(update={"root": real_photos})}
        }
    )
    real = Library(settings, library.engine)
    real.scan(shard_capacity=1000)
    (report,) = real.register_all().values()
    with real.engine.connect() as connection:
        previews = connection.execute(select(func.sum(ShardFile.row_count))).scalar_one()
    failed = {
        path: row.failure_reason for path, row in real.images().items() if row.state == ImageState.FAILED
    }
    assert report.registered + report.failed == report.read == len(real.images()) == 100
    assert previews == report.registered
    assert {path for path in failed if "corrupt" not in path} == set()
