"""Unreadable images are read again on request, and never by themselves while their files stay as they are."""

import os
import shutil
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image
from photolineage.catalog.vocabulary import ImageState
from photolineage.steps.register import find_shards_with_failures, read_failures_again
from tests.library import Library

FIRST = "photos-00000"
SECOND = "photos-00001"
TORN = "2023/torn.jpg"


def mend_unseen(library: Library) -> None:
    """What a file holds becomes an image, and its size and time stay: as where a disk reads again."""
    torn, photo = library.root / TORN, library.root / "2023/04.jpg"
    status = torn.stat()
    shutil.copyfile(photo, torn)
    os.utime(torn, ns=(status.st_mtime_ns, status.st_mtime_ns))
    with write_transaction(library.engine) as connection:
        connection.execute(update(Image).where(Image.path == TORN).values(size_bytes=photo.stat().st_size))


def test_a_failed_image_of_an_unchanged_file_stays_as_it_is(any_library: Library) -> None:
    any_library.scan()
    any_library.register_all()
    mend_unseen(any_library)
    assert any_library.scan().unchanged == 28
    assert [report.read for report in any_library.register_all().values()] == [0, 0, 0]
    assert any_library.images()[TORN].state == ImageState.FAILED


def test_on_request_it_is_read_and_its_shard_is_new_to_every_model(any_library: Library) -> None:
    library = any_library
    library.scan()
    library.register_all()
    mend_unseen(library)
    revision = library.revision(SECOND)

    assert read_failures_again(library.engine, SECOND, asked_by="another-run") == 1

    assert library.revision(SECOND) == revision + 1
    report = library.register(SECOND)
    assert (report.read, report.failed, report.duplicates) == (1, 0, 2)
    mended = library.images()[TORN]
    assert (mended.state, mended.failure_reason, mended.failure_detail) == (ImageState.REGISTERED, None, None)


def test_a_shard_without_failures_is_left_alone(library: Library) -> None:
    library.scan()
    library.register_all()
    with library.engine.connect() as connection:
        assert find_shards_with_failures(connection, [library.source]) == [SECOND]
        assert find_shards_with_failures(connection, ["another"]) == []
    assert read_failures_again(library.engine, "photos-00000", asked_by="another-run") == 0
    assert library.revision("photos-00000") == 1


def test_a_retry_of_the_run_that_asked_reads_nothing_once_more(library: Library) -> None:
    library.scan()
    library.register_all()
    assert read_failures_again(library.engine, SECOND, asked_by="asking") == 1
    library.register(SECOND, run_id="asking")
    assert Counter(library.states().values()) == {"registered": 27, "failed": 1}
    assert read_failures_again(library.engine, SECOND, asked_by="asking") == 0
    assert library.register(SECOND, run_id="its retry").read == 0


def test_a_request_outlives_a_kill(library: Library) -> None:
    library.scan()
    library.register_all()
    assert read_failures_again(library.engine, SECOND, asked_by="killed before it read") == 1
    assert library.states()[TORN] == ImageState.DISCOVERED
    assert library.register(SECOND).read == 1
    assert library.states()[TORN] == ImageState.FAILED


def test_a_file_that_vanished_is_read_again_once_a_scan_finds_it(any_library: Library) -> None:
    """As of a disk that is gone while a shard is registered and back before the next scan."""
    library = any_library
    library.scan()
    photo, away = library.root / "2023/00.jpg", library.root.with_name("away.jpg")
    photo.rename(away)
    library.register_all()
    away.rename(photo)
    revision = library.revision(FIRST)
    report = library.scan()
    assert (report.returned, report.unchanged) == (1, 27)
    assert library.images()["2023/00.jpg"].state == ImageState.DISCOVERED
    assert library.revision(FIRST) == revision + 1
    assert library.register(FIRST).registered == 10
    assert library.scan().unchanged == 28


def test_a_file_that_is_listed_and_does_not_open_is_not_read_again_at_each_scan(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some network file systems list what is not there any more."""
    library.scan()
    photo, away = library.root / "2023/00.jpg", library.root.with_name("away.jpg")
    photo.rename(away)
    library.register_all()
    away.rename(photo)
    opened = os.open

    def refuse(path: Any, *arguments: Any, **keywords: Any) -> int:
        if path in (photo, str(photo)):
            raise FileNotFoundError(2, "No such file or directory")
        return opened(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", refuse)
    revision = library.revision(FIRST)
    assert library.scan().unchanged == 28
    assert library.revision(FIRST) == revision
    monkeypatch.undo()
    assert library.scan().returned == 1
