"""A source that is forgotten leaves nothing but its photos; and what keeps any change of a source from being made."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.leases import LeaseHeldError, acquire_lease
from photolineage.catalog.orm import Event, EventImage, Image, MlJob, Shard, ShardFile, Source
from photolineage.catalog.sources import SourceState, list_sources
from photolineage.lineage import JobKind
from photolineage.steps import forget_source as forgetting
from photolineage.steps.forget_source import (
    plan_forgetting,
)
from photolineage.steps.jobs import running_job
from photolineage.steps.source_jobs import SourceInUseError, UnknownSourceError, jobs_of
from photolineage.steps.sweep import sweep_files
from photolineage.stores.files import LocalFiles
from photolineage.stores.root_folder import StorageError
from tests.library import Library, draw_photo
from tests.steps.sources import (
    assert_nothing_is_due,
    cluster,
    committed_paths,
    configured_as,
    count,
    events,
    facts,
    forget,
    let_files_be_old,
    rename,
    stored_paths,
    vectors,
)


def test_the_sweep_removes_what_a_killed_forget_has_left(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.build()
    let_files_be_old(library)
    files = stored_paths(library)

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            forget(library)
    assert stored_paths(library) == files
    assert len(sweep_files(library.engine, library.files, remove=True).garbage) == len(files)
    assert stored_paths(library) == []


@pytest.mark.parametrize("top", ["previews", "embeddings"])
def test_no_source_changes_while_a_disk_is_not_mounted(
    library: Library, photo_folder: Path, tmp_path: Path, top: str
) -> None:
    library.build()
    before, paths = facts(library), committed_paths(library)
    (library.settings.home / top).rename(tmp_path / "disk")
    with pytest.raises(StorageError, match=f"{top}: this folder is missing.*Mount its disk"):
        rename(library, photo_folder)
    with pytest.raises(StorageError, match="Mount its disk"):
        forget(library)
    (tmp_path / "disk").rename(library.settings.home / top)
    assert (facts(library), committed_paths(library)) == (before, paths)
    assert_nothing_is_due(library)


def test_a_planted_row_makes_nobody_delete_other_files(library: Library, photo_folder: Path) -> None:
    library.build()
    (other := library.settings.home / "previews/other-00000/1.arrow").parent.mkdir()
    other.write_bytes(b"previews of another source")
    with write_transaction(library.engine) as connection:
        row = ShardFile.__table__
        connection.execute(
            row.update()  # type: ignore[attr-defined]
            .where(row.c.id == select(func.min(row.c.id)).scalar_subquery())
            .values(path="previews/x.arrow")
        )
    with pytest.raises(StorageError, match=r"'previews/x.arrow': .* catalog is damaged"):
        rename(library, photo_folder)
    forget(library)
    assert stored_paths(library) == ["previews/other-00000/1.arrow"]


def test_a_source_may_have_a_key_like_a_shard(library: Library, photo_folder: Path, tmp_path: Path) -> None:
    library.build()
    draw_photo(tmp_path / "new/1.jpg", 901)
    library = configured_as(library, **{"photos-00000": tmp_path / "new"})
    library.build()
    rename(library, photo_folder)
    assert {row.subject for row in library.jobs(JobKind.SCAN)} == {"holiday", "photos-00000"}
    with library.engine.connect() as connection:
        assert {job.subject for job in jobs_of(connection, "photos-00000", ["photos-00000-00000"])} == {
            "photos-00000", "photos-00000-00000", "tiny-a|photos-00000-00000",
        }  # fmt: skip
    assert_nothing_is_due(library)


@pytest.mark.parametrize("kind", [JobKind.INDEX, JobKind.CLUSTER])
def test_no_source_changes_while_a_model_uses_its_images(
    library: Library, photo_folder: Path, monkeypatch: pytest.MonkeyPatch, kind: JobKind
) -> None:
    library.build()
    before = facts(library)
    running = running_job(library.context("another"), kind, "tiny-a", input_version="1")
    with running, pytest.raises(LeaseHeldError, match=f"{kind} tiny-a: run another"):
        rename(library, photo_folder)

    def start_it(*_arguments: Any) -> None:
        timeout = library.context().lease_timeout
        acquire_lease(library.engine, kind, "tiny-a", run_id="another", input_version="1", timeout=timeout)

    monkeypatch.setattr(forgetting, "end_dead_jobs", start_it)
    with pytest.raises(SourceInUseError, match=f"{kind} tiny-a: run another has just started"):
        forget(library)
    assert facts(library) == before


def test_a_forgotten_source_leaves_nothing_and_its_photos(any_library: Library, photo_folder: Path) -> None:
    library = any_library
    library.build("tiny-a", "tiny-b")
    cluster(library)
    photos = {path: path.read_bytes() for path in photo_folder.rglob("*") if path.is_file()}
    with library.engine.connect() as connection:
        plan = plan_forgetting(connection, "photos")
    assert (plan.images, plan.copies, plan.embeddings) == (28, 0, 52)
    assert plan.events == plan.whole_events == count(library, Event) > 0
    assert plan.files == len(stored_paths(library))
    assert forget(library) == plan
    assert [count(library, table) for table in (Source, Shard, Image, ShardFile, Event, EventImage)] == [
        0
    ] * 6
    assert stored_paths(library) == []
    assert library.indexes.open("tiny-a", 16).describe().rows == 0
    assert {path: path.read_bytes() for path in photo_folder.rglob("*") if path.is_file()} == photos
    with pytest.raises(UnknownSourceError, match="'photos' is not in the catalog"):
        forget(library)

    library.build()  # the same source again is a new one
    assert count(library, Image) == 28
    assert len(vectors(library)) == 26
    assert_nothing_is_due(library)


def test_copies_in_other_sources_keep_their_embeddings(
    any_library: Library, photo_folder: Path, tmp_path: Path
) -> None:
    any_library.build()
    cluster(any_library)
    former = vectors(any_library)
    by_content = {row.content_hash: former[row.id] for row in facts(any_library) if row.id in former}
    backup = tmp_path / "backup"
    shutil.copytree(photo_folder / "2023", backup / "twice/2023")
    shutil.copytree(photo_folder / "2023", backup / "2023")
    draw_photo(backup / "own.jpg", 901)
    library = configured_as(any_library, backup=backup)
    library.build()
    cluster(library)
    with library.engine.connect() as connection:
        plan = plan_forgetting(connection, "photos")
    assert (plan.images, plan.copies, plan.embeddings) == (28, 14, 13)
    forget(library)

    library.scan()
    assert [report.read for report in library.register_all().values()] == [0] * len(library.shard_keys())
    assert [report.embedded for report in library.embed_all().values()] == [0] * len(library.shard_keys())
    left = vectors(library)
    assert len(left) == 14  # 13 contents of 2023, and the photo of its own
    for row in facts(library):
        if row.id in left and row.content_hash in by_content:
            assert left[row.id] == by_content[row.content_hash]
    library.index()
    cluster(library)
    assert_nothing_is_due(library)
    assert {image for members in events(library).values() for image in members} <= {
        row.id for row in facts(library)
    }
    assert sweep_files(library.engine, library.files, remove=False).garbage == ()


def test_no_source_changes_under_a_run(library: Library, photo_folder: Path) -> None:
    library.build()
    before = facts(library)
    with (
        running_job(library.context("another"), JobKind.EMBED, "tiny-a|photos-00001", input_version="1"),
        pytest.raises(LeaseHeldError, match=r"tiny-a\|photos-00001.*another"),
    ):
        forget(library)
    with (
        running_job(library.context("another"), JobKind.SCAN, "photos", input_version=""),
        pytest.raises(LeaseHeldError, match="scan photos"),
    ):
        rename(library, photo_folder)
    assert facts(library) == before


def test_the_job_of_a_dead_process_stops_nobody(library: Library) -> None:
    library.build()
    with write_transaction(library.engine) as connection:
        connection.execute(
            MlJob.__table__.update()  # type: ignore[attr-defined]
            .where(MlJob.kind == JobKind.REGISTER, MlJob.subject == "photos-00001")
            .values(state="running", pid=2**22 - 1)
        )
    forget(library)
    assert count(library, Image) == 0


def test_sources_are_listed_with_their_states(library: Library, photo_folder: Path, tmp_path: Path) -> None:
    library.build()
    roots = {"new": tmp_path / "new", "away": tmp_path / "away"}
    with library.engine.connect() as connection:
        listed = list_sources(connection, roots, frozenset({"away"}))
    assert [(source.key, source.state, source.images, source.root) for source in listed] == [
        ("away", SourceState.UNPLUGGED, 0, tmp_path / "away"),
        ("new", SourceState.NOT_SCANNED, 0, tmp_path / "new"),
        ("photos", SourceState.REMOVED, 28, photo_folder),
    ]
    assert listed[2].scanned_at is not None
