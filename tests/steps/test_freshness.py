"""What is stale after each kind of change: exactly what depends on it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Source
from photolineage.lineage import JobKind
from photolineage.steps.freshness import (
    LostFiles,
    StaleSubject,
    find_stale_embeddings,
    find_stale_work,
    index_version,
)
from photolineage.steps.jobs import running_job
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.tree_walk import SourceUnavailableError
from tests.library import Library, draw_photo, touch

MODELS = ("tiny-a", "tiny-b")
RESCAN_AFTER = timedelta(minutes=10)


def stale(library: Library, *models: str, sources: Sequence[str] = ("photos",)) -> dict[str, list[str]]:
    """The subjects that are stale while these sources are there, by step; steps with none are left out."""
    with library.engine.connect() as connection:
        work = find_stale_work(connection, sources, models or MODELS[:1], RESCAN_AFTER)
    steps = ("sources", "shards", "embeddings", "indexes", "events")
    found = {step: [subject.subject for subject in getattr(work, step)] for step in steps}
    assert work.count() == sum(map(len, found.values()))
    return {step: subjects for step, subjects in found.items() if subjects}


def cluster(library: Library, model_key: str = "tiny-a") -> None:
    """Record that the events are up to date, as their job does."""
    from photolineage.steps.freshness import events_version

    with library.engine.connect() as connection:
        version = events_version(connection, model_key)
    with running_job(library.context(), JobKind.CLUSTER, model_key, input_version=version):
        pass


@pytest.fixture
def built(library: Library) -> Library:
    library.build()
    cluster(library)
    assert stale(library) == {}
    return library


def test_each_step_waits_for_the_one_before(library: Library) -> None:
    shards = ["photos-00000", "photos-00001", "photos-00002"]
    assert stale(library) == {"sources": ["photos"]}
    library.scan()
    assert stale(library) == {"shards": shards}
    library.register(shards[1])
    assert stale(library) == {"shards": [shards[0], shards[2]], "embeddings": [f"tiny-a|{shards[1]}"]}
    library.register_all()
    assert stale(library) == {"embeddings": [f"tiny-a|{shard}" for shard in shards]}
    library.embed_all()
    assert stale(library) == {"indexes": ["tiny-a"]}
    library.index()
    assert stale(library) == {"events": ["tiny-a"]}
    cluster(library)
    assert stale(library) == {}


def test_a_new_model_makes_nothing_stale_but_itself(built: Library) -> None:
    shards = built.shard_keys()
    assert stale(built, *MODELS) == {"embeddings": [f"tiny-b|{shard}" for shard in shards]}
    built.embed_all("tiny-b")
    assert stale(built, *MODELS) == {"indexes": ["tiny-b"]}
    built.index("tiny-b")
    assert stale(built, *MODELS) == {"events": ["tiny-b"]}


@pytest.mark.parametrize("change", ["changed", "new", "gone"])
def test_a_change_makes_its_shard_stale_then_what_follows(built: Library, change: str) -> None:
    if change == "changed":
        touch(built.root / "2024/12.jpg")
    elif change == "new":
        draw_photo(built.root / "2024/13.jpg", 100)
    else:
        (built.root / "2024/12.jpg").unlink()
    assert stale(built) == {}
    built.scan()
    assert stale(built) == {"shards": ["photos-00002"]}
    built.register("photos-00002")
    assert stale(built) == {"embeddings": ["tiny-a|photos-00002"]}
    built.embed("photos-00002")
    assert stale(built) == {"indexes": ["tiny-a"]}
    built.index()
    assert stale(built) == {"events": ["tiny-a"]}
    cluster(built)
    assert stale(built) == {}


def lost(library: Library, *models: str) -> dict[str, int]:
    with library.engine.connect() as connection:
        return dict(
            find_lost_files(connection, library.files, library.indexes, models or MODELS[:1]).embeddings
        )


def test_a_lost_file_makes_its_partition_stale_then_what_follows(built: Library) -> None:
    assert lost(built, *MODELS) == {}
    before = index_version_of(built)
    gone = min((built.settings.home / built.embeddings.folder("tiny-a", "photos-00001")).iterdir())
    gone.unlink()

    (subject,) = found = lost(built, *MODELS)
    assert subject == "tiny-a|photos-00001"
    with built.engine.connect() as connection:
        stale_now = find_stale_embeddings(connection, MODELS[:1], LostFiles(embeddings=found))
    assert stale_now == [StaleSubject(subject, f"1-lost-{found[subject]}")]

    built.embed("photos-00001")
    assert lost(built) == {}
    assert stale(built) == {"indexes": ["tiny-a"]}
    assert index_version_of(built) != before
    built.index()
    assert stale(built) == {"events": ["tiny-a"]}


def test_what_is_lost_twice_is_asked_for_twice(built: Library) -> None:
    versions = []
    for _ in range(2):
        min((built.settings.home / built.embeddings.folder("tiny-a", "photos-00001")).iterdir()).unlink()
        with built.engine.connect() as connection:
            (again,) = find_stale_embeddings(connection, MODELS[:1], LostFiles(embeddings=lost(built)))
        versions.append(again.version)
        built.embed("photos-00001")
    assert len({*versions, "1"}) == 3


def index_version_of(library: Library) -> str:
    with library.engine.connect() as connection:
        return index_version(connection, "tiny-a", library.shard_keys())


def test_a_promoted_duplicate_makes_its_own_shard_stale(built: Library) -> None:
    (built.root / "2023/03.jpg").unlink()
    built.scan()
    assert stale(built) == {"shards": ["photos-00000", "photos-00001"]}


def test_a_shard_that_changed_while_it_was_embedded_is_stale_again(built: Library) -> None:
    touch(built.root / "2023/00.jpg")
    built.scan()
    built.register("photos-00000")
    touch(built.root / "2023/00.jpg")
    built.scan()
    built.embed("photos-00000")
    assert stale(built) == {"shards": ["photos-00000"]}


def test_a_failed_job_leaves_its_subject_stale(built: Library) -> None:
    touch(built.root / "2023/00.jpg")
    built.scan()
    with (
        pytest.raises(ValueError, match="no"),
        running_job(
            built.context(),
            JobKind.REGISTER,
            "photos-00000",
            input_version=str(built.revision("photos-00000")),
        ),
    ):
        raise ValueError("no")
    assert stale(built) == {"shards": ["photos-00000"]}


def test_a_source_is_stale_when_its_last_scan_is_long_ago(built: Library) -> None:
    with write_transaction(built.engine) as connection:
        connection.execute(update(Source).values(scanned_at=datetime.now(UTC) - RESCAN_AFTER))
    assert stale(built) == {"sources": ["photos"]}


def test_the_version_of_a_stale_subject_is_what_its_job_would_record(library: Library) -> None:
    library.scan()
    touch(library.root / "2023/00.jpg")
    library.scan()
    with library.engine.connect() as connection:
        work = find_stale_work(connection, [library.source], ["tiny-a"], RESCAN_AFTER)
    assert (work.shards[0].subject, work.shards[0].version) == ("photos-00000", "2")
    library.register_all()
    library.embed_all()
    with library.engine.connect() as connection:
        work = find_stale_work(connection, [library.source], ["tiny-a"], RESCAN_AFTER)
        assert [(index.subject, index.version) for index in work.indexes] == [
            ("tiny-a", index_version(connection, "tiny-a", library.shard_keys()))
        ]
    library.index()
    assert library.jobs(JobKind.INDEX)[-1].input_version == work.indexes[0].version


def test_an_empty_library_has_nothing_but_its_source_to_do(library: Library) -> None:
    for path in library.root.rglob("*.jpg"):
        path.unlink()
    (library.root / "note.txt").touch()
    library.scan()
    assert stale(library, *MODELS) == {}


BOTH = ("photos", "disk")


@pytest.fixture
def disk(built: Library) -> Library:
    """A second source of the same library, with three photos: one shard that was scanned and not registered."""
    root = built.root.with_name("disk")
    for number in range(3):
        draw_photo(root / f"{number}.jpg", 700 + number)
    sources = {"disk": built.settings.sources["photos"].model_copy(update={"root": root})}
    disk = Library(built.settings.model_copy(update={"sources": sources}), built.engine, "disk")
    disk.scan()
    return disk


def test_a_source_that_is_away_with_images_to_read_holds_up_no_other(built: Library, disk: Library) -> None:
    assert stale(built, sources=BOTH) == {"shards": ["disk-00000"]}
    touch(built.root / "2024/12.jpg")
    built.scan()
    built.register("photos-00002")
    built.embed("photos-00002")
    assert stale(built) == {"indexes": ["tiny-a"]}
    built.index()
    assert stale(built) == {"events": ["tiny-a"]}
    cluster(built)
    assert stale(built) == {}
    assert stale(built, sources=BOTH) == {"shards": ["disk-00000"]}
    disk.register("disk-00000")
    assert stale(built, sources=BOTH) == {"embeddings": ["tiny-a|disk-00000"]}


def test_previews_of_a_source_that_is_away_are_embedded_and_nothing_waits_for_them(
    built: Library, disk: Library
) -> None:
    disk.register("disk-00000")
    assert stale(built, sources=BOTH) == {"embeddings": ["tiny-a|disk-00000"]}
    assert stale(built) == {"embeddings": ["tiny-a|disk-00000"]}
    disk.embed("disk-00000")
    assert stale(built) == {"indexes": ["tiny-a"]}


def test_what_failed_is_to_be_tried_again_once_its_source_was_scanned_since(
    built: Library, disk: Library
) -> None:
    def worth_a_try(failed_at: datetime, *, there: Sequence[str] = BOTH) -> list[bool]:
        with built.engine.connect() as connection:
            work = find_stale_work(connection, there, ["tiny-a"], RESCAN_AFTER)
        return [shard.retry_before is not None and failed_at < shard.retry_before for shard in work.shards]

    unplugged = disk.root.with_name("unplugged")
    disk.root.rename(unplugged)
    with pytest.raises(SourceUnavailableError):
        disk.register("disk-00000")
    failed_at = datetime.now(UTC)
    assert worth_a_try(failed_at, there=["photos"]) == []
    assert worth_a_try(failed_at) == [False]
    unplugged.rename(disk.root)
    built.scan()
    assert worth_a_try(failed_at) == [False], "another source was scanned"
    disk.scan()
    assert worth_a_try(failed_at) == [True]
    disk.register("disk-00000")
    assert worth_a_try(failed_at) == []
