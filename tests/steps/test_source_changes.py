"""Renaming, moving and forgetting a source: what is known of its photos stays, or goes as a whole."""

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from photolineage.catalog.engine import run_in_transaction, write_transaction
from photolineage.catalog.leases import LeaseHeldError, acquire_lease
from photolineage.catalog.orm import Event, EventImage, Image, MlJob, Shard, ShardFile, Source
from photolineage.catalog.sources import SourceState, find_same_sources, list_sources
from photolineage.events.stored import members_of_events
from photolineage.lineage import JobKind
from photolineage.settings import load_settings
from photolineage.steps import forget_source as forgetting
from photolineage.steps import rename_source as renaming
from photolineage.steps.cluster import cluster_model
from photolineage.steps.forget_source import (
    ForgottenSource,
    SourceStores,
    bring_indexes_up_to_date,
    forget_source,
    plan_forgetting,
)
from photolineage.steps.freshness import find_stale_embeddings, find_stale_shards
from photolineage.steps.jobs import running_job
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.rename_source import (
    find_old_files,
    move_source,
    rename_source,
    require_same_photos,
)
from photolineage.steps.scan import ensure_source
from photolineage.steps.source_jobs import SourceInUseError, UnknownSourceError, jobs_of
from photolineage.steps.sweep import sweep_files
from photolineage.stores.event_segments import SegmentStore
from photolineage.stores.files import LocalFiles
from photolineage.stores.root_folder import StorageError
from tests.library import Library, draw_photo


def stores(library: Library) -> SourceStores:
    return SourceStores(library.embeddings, library.indexes)


def rename(library: Library, root: Path) -> Mapping[str, str]:
    """As the command renames `photos` to `holiday`."""
    renamed = rename_source(library.context(), stores(library), "photos", "holiday", root)
    bring_indexes_up_to_date(library.context(), stores(library))
    return renamed


def forget(library: Library, key: str = "photos") -> ForgottenSource:
    """As the command forgets a source."""
    plan = forget_source(library.context(), stores(library), key)
    bring_indexes_up_to_date(library.context(), stores(library))
    return plan


def configured_as(library: Library, **roots: Path) -> Library:
    """The library with these sources in its configuration; the first one is its source."""
    config = library.settings.config_file
    before, _, _ = config.read_text().partition("[sources.")
    _, _, models = config.read_text().partition("[models.")
    sections = "".join(f"[sources.{key}]\nroot = '{root}'\nremovable = true\n" for key, root in roots.items())
    config.write_text(f"{before}{sections}[models.{models}")
    return replace(library, settings=load_settings(config), source=next(iter(roots)))


def cluster(library: Library) -> None:
    embedder, _ = library.embedder()
    segments = SegmentStore(library.files)
    settings = library.settings.events
    cluster_model(library.context(), library.embeddings, segments, "tiny-a", embedder.encode_text, settings)


def events(library: Library) -> Any:
    with library.engine.connect() as connection:
        return members_of_events(connection, 1)


def count(library: Library, table: Any) -> int:
    with library.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def facts(library: Library) -> list[Any]:
    """What must stay of every image, in the order of the ids."""
    with library.engine.connect() as connection:
        return list(
            connection.execute(
                select(
                    Image.id, Image.path, Image.content_hash, Image.embedded_models, Image.duplicate_of_id
                ).order_by(Image.id)
            )
        )


def vectors(library: Library) -> dict[int, list[float]]:
    table = library.live().vectors()
    return dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))


def assert_nothing_is_due(library: Library) -> None:
    with library.engine.connect() as connection:
        lost = find_lost_files(connection, library.files, library.indexes, ["tiny-a"])
        assert (lost.previews, lost.embeddings, lost.indexes) == ({}, {}, {})
        assert find_stale_shards(connection, lost) == []
        assert find_stale_embeddings(connection, ["tiny-a"], lost) == []


def committed_paths(library: Library) -> list[str]:
    with library.engine.connect() as connection:
        return sorted(connection.execute(select(ShardFile.path)).scalars())


def stored_paths(library: Library) -> list[str]:
    return [file.path for folder in ("embeddings", "previews") for file in library.files.list_files(folder)]


def test_a_renamed_source_keeps_everything(any_library: Library, photo_folder: Path) -> None:
    any_library.build()
    cluster(any_library)
    before, former, were = facts(any_library), vectors(any_library), events(any_library)
    library = configured_as(any_library, holiday=photo_folder)
    renamed = rename(library, photo_folder)
    assert renamed == {f"photos-{n:05}": f"holiday-{n:05}" for n in range(3)}
    assert library.shard_keys() == list(renamed.values())
    assert_nothing_is_due(library)
    assert (facts(library), vectors(library), events(library)) == (before, former, were)
    assert committed_paths(library) == stored_paths(library)
    assert not any("photos-" in path for path in stored_paths(library))
    assert {row.subject.split("-0")[0] for kind in JobKind for row in library.jobs(kind)} == {
        "holiday", "tiny-a|holiday", "tiny-a",
    }  # fmt: skip

    assert library.scan().unchanged == 28
    assert [report.read for report in library.register_all().values()] == [0, 0, 0]
    assert [report.embedded for report in library.embed_all().values()] == [0, 0, 0]
    change = library.index().change
    assert (change.added, change.replaced, change.updated, change.removed) == (0, 0, 0, 0)
    cluster(library)
    assert events(library) == were


def test_a_source_that_was_registered_under_both_names_becomes_one(
    any_library: Library, photo_folder: Path
) -> None:
    any_library.build()
    cluster(any_library)
    before, former = facts(any_library), vectors(any_library)
    library = configured_as(any_library, holiday=photo_folder)
    library.build()
    with library.engine.connect() as connection:
        (same,) = find_same_sources(connection, {"holiday": photo_folder})
    assert (same.former, same.current, same.photos) == ("photos", "holiday", 27)
    assert "`photolineage sources rename photos holiday`" in str(same)

    rename(library, photo_folder)
    assert (facts(library), vectors(library)) == (before, former)
    assert count(library, Source) == 1
    assert committed_paths(library) == stored_paths(library)
    library.scan()
    assert [report.read for report in library.register_all().values()] == [0, 0, 0]
    assert [report.embedded for report in library.embed_all().values()] == [0, 0, 0]


def test_the_hint_comes_before_the_new_source_is_scanned_and_before_it_is_read(
    library: Library, photo_folder: Path, tmp_path: Path
) -> None:
    library.build()
    with library.engine.connect() as connection:
        assert find_same_sources(connection, {"photos": photo_folder, "holiday": photo_folder}) == []
        (same,) = find_same_sources(connection, {"holiday": photo_folder})
        assert (same.former, same.current, same.photos) == ("photos", "holiday", 28)
    moved = photo_folder.rename(tmp_path / "moved")
    library = configured_as(library, holiday=moved)
    library.scan()
    with library.engine.connect() as connection:
        (same,) = find_same_sources(connection, {"holiday": moved})
        assert (same.former, same.current, same.photos) == ("photos", "holiday", 28)


def test_a_source_with_a_few_copies_of_a_removed_one_gives_no_hint(
    library: Library, photo_folder: Path, tmp_path: Path
) -> None:
    library.build()
    other = tmp_path / "other"
    shutil.copytree(photo_folder / "2024", other)
    library = configured_as(library, other=other)
    library.build()
    with library.engine.connect() as connection:
        assert find_same_sources(connection, {"other": other}) == []


@pytest.mark.parametrize("killed_at", ["before the catalog", "after the catalog"])
def test_a_rename_that_is_killed_loses_nothing(
    library: Library, photo_folder: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    library.build()
    before, former = facts(library), vectors(library)
    with monkeypatch.context() as patch:

        def die(*_arguments: object) -> None:
            raise KeyboardInterrupt

        if killed_at == "before the catalog":
            patch.setattr(renaming, "run_in_transaction", die)
        else:
            patch.setattr(LocalFiles, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            rename(library, photo_folder)
    assert (facts(library), vectors(library)) == (before, former)
    assert_nothing_is_due(library)
    if killed_at == "before the catalog":
        rename(library, photo_folder)
    else:
        with library.engine.connect() as connection:
            assert find_old_files(connection, stores(library), "typo", "holiday") == []
            left = find_old_files(connection, stores(library), "photos", "holiday")
        assert len(left) == len(committed_paths(library))
        library.files.remove(left)
    assert committed_paths(library) == stored_paths(library)
    assert (facts(library), vectors(library)) == (before, former)


DAYS_AGO = time.time() - 3 * 86_400


def let_files_be_old(library: Library) -> None:
    for path in stored_paths(library):
        os.utime(library.settings.home / path, (DAYS_AGO, DAYS_AGO))


def test_a_sweep_during_a_rename_removes_nothing(
    library: Library, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.build()
    let_files_be_old(library)
    former = vectors(library)

    def sweep_first(*arguments: Any) -> Any:
        assert sweep_files(library.engine, library.files, remove=True).garbage == ()
        return run_in_transaction(*arguments)

    monkeypatch.setattr(renaming, "run_in_transaction", sweep_first)
    rename(library, photo_folder)
    assert committed_paths(library) == stored_paths(library)
    assert vectors(library) == former


def test_a_rename_whose_new_files_vanish_is_refused(
    library: Library, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.build()
    before, paths = facts(library), committed_paths(library)
    copy = LocalFiles.copy

    def copy_in_vain(files: LocalFiles, path: str, to: str) -> None:
        copy(files, path, to)
        files.remove([to])

    monkeypatch.setattr(LocalFiles, "copy", copy_in_vain)
    with pytest.raises(SourceInUseError, match=r"holiday-00000.* was removed while .* Nothing was changed"):
        rename(library, photo_folder)
    assert (facts(library), committed_paths(library)) == (before, paths)
    assert_nothing_is_due(library)


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


def test_a_lost_file_does_not_stop_a_rename(library: Library, photo_folder: Path) -> None:
    library.build()
    lost = next(path for path in committed_paths(library) if path.startswith("embeddings/"))
    library.files.remove([lost])
    rename(library, photo_folder)
    library = configured_as(library, holiday=photo_folder)
    with library.engine.connect() as connection:
        due = find_lost_files(connection, library.files, library.indexes, ["tiny-a"]).embeddings
    assert list(due) == ["tiny-a|holiday-00000"]
    library.embed_all()
    library.index()
    assert len(vectors(library)) == 26
    assert_nothing_is_due(library)


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


def test_a_new_name_that_a_run_takes_meanwhile_is_refused(
    library: Library, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.build()
    copy = LocalFiles.copy

    def add_the_source(files: LocalFiles, path: str, to: str) -> None:
        copy(files, path, to)
        ensure_source(library.engine, "holiday", photo_folder)

    monkeypatch.setattr(LocalFiles, "copy", add_the_source)
    with pytest.raises(SourceInUseError, match="just added a source 'holiday'"):
        rename(library, photo_folder)
    assert library.shard_keys()[0] == "photos-00000"


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


def test_missing_photos_do_not_count_for_a_new_folder(
    library: Library, photo_folder: Path, tmp_path: Path
) -> None:
    library.build()
    shutil.rmtree(photo_folder / "2023")
    library.scan()
    half = photo_folder.rename(tmp_path / "half")
    for path in sorted(half.rglob("*.jpg"))[:6]:
        path.unlink()
    require_same_photos(library.engine, "photos", half)


def test_a_name_that_is_free_again_can_be_used_by_another_source(
    library: Library, photo_folder: Path, tmp_path: Path
) -> None:
    library.build()
    rename(library, photo_folder)
    draw_photo(tmp_path / "new/1.jpg", 901)
    library = configured_as(library, photos=tmp_path / "new", holiday=photo_folder)
    library.build()
    assert library.shard_keys() == [*(f"holiday-{n:05}" for n in range(3)), "photos-00000"]
    assert len(vectors(library)) == 27
    assert_nothing_is_due(library)


def test_a_moved_source_is_not_read_again(library: Library, photo_folder: Path, tmp_path: Path) -> None:
    library.build()
    moved = photo_folder.rename(tmp_path / "moved")
    move_source(library.engine, "photos", moved)
    library = configured_as(library, photos=moved)
    assert library.scan().unchanged == 28
    assert_nothing_is_due(library)


def test_a_folder_without_the_photos_is_refused(library: Library, photo_folder: Path, tmp_path: Path) -> None:
    library.build()
    shutil.copytree(photo_folder / "2024", tmp_path / "half/2024")
    with pytest.raises(SourceInUseError, match=r"has only 13 of 28 photos of source 'photos'.* 2023/"):
        move_source(library.engine, "photos", tmp_path / "half")
    with pytest.raises(SourceInUseError, match="has only 13 of 28"):
        rename(library, tmp_path / "half")
    assert library.shard_keys()[0] == "photos-00000"


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
