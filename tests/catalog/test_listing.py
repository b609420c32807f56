"""The state of the library counts images, and its jobs are what was really committed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.listing import (
    LibraryStatus,
    SourceStatus,
    known_time,
    library_status,
    list_events,
    newest_job,
)
from photolineage.catalog.orm import Event
from photolineage.catalog.vocabulary import TakenAtPrecision
from photolineage.lineage import JobKind
from photolineage.steps.jobs import running_job
from photolineage.steps.progress import Progress
from tests.library import Library, draw_photo, touch

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def status(library: Library) -> LibraryStatus:
    with library.engine.connect() as connection:
        return library_status(connection)


def test_images_are_counted_by_state(library: Library) -> None:
    assert status(library) == LibraryStatus([], [], [])
    library.scan()
    library.register_all()
    draw_photo(library.root / "2024/13.jpg", 100)
    (library.root / "2024/00.jpg").unlink()
    (library.root / "drawing.psb").touch()
    (library.root / "2024/README").touch()
    library.scan()
    assert status(library).sources == [
        SourceStatus(
            "photos",
            images=29,
            discovered=1,
            registered=26,
            duplicates=1,
            failed=1,
            missing=1,
            passed_over={".psb": 1, "no ending": 1},
            rotten=0,
            verified_at=None,
        )
    ]


def test_a_source_is_verified_since_its_first_shard_was(any_library: Library) -> None:
    any_library.scan()
    any_library.register_all()
    shards = any_library.shard_keys()
    for shard in shards[1:]:
        any_library.verify(shard)
    assert status(any_library).sources[0].verified_at is None
    any_library.verify(shards[0])
    (source,) = status(any_library).sources
    assert source.verified_at == any_library.jobs(JobKind.VERIFY)[0].finished_at


def test_models_are_counted_apart(library: Library) -> None:
    library.build("tiny-a")
    library.embed("photos-00000", "tiny-b")
    models = status(library).models
    assert [(model.key, model.embedding_dim, model.serving) for model in models] == [
        ("tiny-a", 16, False),
        ("tiny-b", 24, False),
    ]
    assert [(m.committed_embeddings, m.embeddable, m.shards_left) for m in models] == [
        (26, 26, 0),
        (10, 26, 2),
    ]


def test_embeddings_of_contents_that_hold_no_more_are_not_counted(any_library: Library) -> None:
    def counted() -> tuple[int, int, int]:
        (model,) = status(any_library).models
        return model.committed_embeddings, model.embeddable, model.shards_left

    any_library.build()
    changed, gone = any_library.root / "2023/05.jpg", any_library.root / "2024/06.jpg"
    draw_photo(changed, 100)
    touch(changed)
    gone.unlink()
    any_library.scan()
    assert counted() == (24, 24, 0)
    any_library.register_all()
    assert counted() == (24, 25, 1)
    any_library.embed_all()
    assert counted() == (25, 25, 0)
    draw_photo(gone, 19)
    any_library.scan()
    any_library.register_all()
    assert counted() == (25, 26, 1)


def test_a_source_without_images_is_listed(library: Library) -> None:
    with library.scanning():
        assert status(library).sources == [SourceStatus("photos", 0, 0, 0, 0, 0, 0, {}, 0, None)]


def test_jobs_that_run_or_did_not_succeed_are_listed_with_what_they_committed(library: Library) -> None:
    library.scan()

    def fail_at_the_fifth(progress: Progress) -> None:
        if progress.done == 5:
            raise ValueError("the disk is on fire")

    with pytest.raises(ValueError, match="on fire"):
        library.register("photos-00000", on_progress=fail_at_the_fifth)
    with running_job(library.context(), JobKind.INDEX, "tiny-a", input_version="v", total=9):
        running, failed = status(library).jobs
    assert (running.kind, running.subject, running.state, running.total) == ("index", "tiny-a", "running", 9)
    assert (failed.kind, failed.subject, failed.state) == ("register", "photos-00000", "failed")
    assert (failed.done, failed.failed, failed.total) == (4, 0, 10)
    assert failed.error == "ValueError: the disk is on fire"
    assert failed.images_per_second > 0
    with pytest.raises(ValueError, match="on fire"):
        library.register("photos-00000", on_progress=fail_at_the_fifth)
    (again,) = status(library).jobs
    assert (again.done, again.resumed, again.images_per_second) == (4, 4, 0)
    library.register("photos-00000")
    assert status(library).jobs == []


def test_events_are_listed_newest_first_in_their_own_time(library: Library) -> None:
    _, model_id = library.embedder()
    with write_transaction(library.engine) as connection:
        for day, offset in ((0, None), (1, 540)):
            connection.execute(
                insert(Event).values(
                    model_id=model_id, title=f"day {day}", starts_at=NOON + timedelta(days=day),
                    ends_at=NOON + timedelta(days=day, hours=2), utc_offset_minutes=offset, image_count=3,
                    confidence=0.5, updated_at=NOON,
                )
            )  # fmt: skip
    with library.engine.connect() as connection:
        events = list_events(connection, model_id)
        assert [event.title for event in list_events(connection, model_id, limit=1)] == ["day 1"]
        assert list_events(connection, model_id + 1) == []
    assert [event.starts_at.isoformat() for event in events] == [
        "2024-06-02T21:00:00+09:00",
        "2024-06-01T12:00:00+00:00",
    ]


def test_the_newest_attempt_at_a_partition_counts(any_library: Library) -> None:
    with any_library.engine.connect() as connection:
        assert newest_job(connection, JobKind.SCAN, "photos") is None
    any_library.scan()
    with pytest.raises(RuntimeError), any_library.scanning():
        raise RuntimeError("the disk hums")
    with running_job(any_library.context(), JobKind.SCAN, "others", input_version=""):
        pass
    with any_library.engine.connect() as connection:
        failed = newest_job(connection, JobKind.SCAN, "photos")
        succeeded = newest_job(connection, JobKind.SCAN, "others")
    assert failed is not None
    assert (failed.state, failed.error) == ("failed", "RuntimeError: the disk hums")
    assert succeeded is not None
    assert succeeded.state == "succeeded"


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (None, "2021-03-04 10:11"),
        (TakenAtPrecision.SECOND, "2021-03-04 10:11"),
        (TakenAtPrecision.MINUTE, "2021-03-04 10:11"),
        (TakenAtPrecision.DAY, "2021-03-04"),
        (TakenAtPrecision.MONTH, "2021-03"),
        (TakenAtPrecision.YEAR, "2021"),
    ],
)
def test_only_the_known_part_of_a_time_is_shown(precision: TakenAtPrecision | None, expected: str) -> None:
    assert known_time(datetime(2021, 3, 4, 10, 11, 12, tzinfo=UTC), precision) == expected
