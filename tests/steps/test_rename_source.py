"""A source that is renamed or moved keeps its images, embeddings and events, also if something goes wrong."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from photolineage.catalog.engine import run_in_transaction
from photolineage.catalog.orm import Source
from photolineage.catalog.sources import find_same_sources
from photolineage.lineage import JobKind
from photolineage.steps import rename_source as renaming
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.rename_source import (
    find_old_files,
    move_source,
    require_same_photos,
)
from photolineage.steps.scan import ensure_source
from photolineage.steps.source_jobs import SourceInUseError
from photolineage.steps.sweep import sweep_files
from photolineage.stores.files import LocalFiles
from tests.library import Library, draw_photo
from tests.steps.sources import (
    assert_nothing_is_due,
    cluster,
    committed_paths,
    configured_as,
    count,
    events,
    facts,
    let_files_be_old,
    rename,
    stored_paths,
    stores,
    vectors,
)


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
