"""Images that a scan does not find are missing, or only their disk is away."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from photolineage.steps import absences
from photolineage.steps.tree_walk import SourceUnavailableError
from tests.library import Library, draw_photo
from tests.steps.conftest import PHOTOS, counts


@pytest.fixture
def library(library: Library) -> Library:
    """A library that follows links to other disks."""
    sources = {
        key: source.model_copy(update={"follow_links": "all"})
        for key, source in library.settings.sources.items()
    }
    return replace(library, settings=library.settings.model_copy(update={"sources": sources}))


@pytest.fixture
def with_small_disk(library: Library, tmp_path: Path) -> Path:
    """A folder of the source, `disk`, is a link to the mount point of a disk with one image; its path is returned."""
    disk = tmp_path / "disk"
    draw_photo(disk / "album/00.jpg", 100)
    (tmp_path / "mount point").mkdir()
    (library.root / "disk").symlink_to(disk)
    library.scan()
    return disk


def unplug(library: Library, disk: Path) -> None:
    """Let the link lead to the mount point, empty and unchanged since before the disk was scanned."""
    (library.root / "disk").unlink()
    (library.root / "disk").symlink_to(disk.parent / "mount point")


def test_the_images_of_a_disk_that_is_unplugged_inside_a_source_stay_as_they_are(
    library: Library, with_small_disk: Path
) -> None:
    before = library.images()
    unplug(library, with_small_disk)
    for _ in range(2):
        report = library.scan()
        assert counts(report) == {"files": PHOTOS, "unchanged": PHOTOS}
        assert report.away == {"disk/": 1}
    assert library.images() == before


def test_a_disk_that_is_unmounted_inside_a_source_leaves_its_images_as_they_are(library: Library) -> None:
    disk = library.root / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", disk], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        draw_photo(disk / "00.jpg", 100)
        library.scan()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert library.scan().away == {"disk/": 1}
    disk.rmdir()
    assert counts(library.scan()) == {"files": PHOTOS, "missing": 1, "unchanged": PHOTOS}


@pytest.mark.parametrize("link", ["disk", "linked.jpg"])
def test_what_lies_behind_a_link_that_leads_nowhere_stays_until_the_link_is_deleted(
    library: Library, with_small_disk: Path, link: str
) -> None:
    (library.root / "linked.jpg").symlink_to(with_small_disk / "album/00.jpg")
    library.scan()
    before = library.images()
    with_small_disk.rename(with_small_disk.with_name("unplugged"))
    report = library.scan()
    assert counts(report) == {"files": PHOTOS, "unchanged": PHOTOS}
    assert report.away == {"disk/": 1, "linked.jpg/": 1}
    assert library.images() == before
    (library.root / link).unlink()
    assert library.scan().missing == 1


def test_a_folder_that_is_emptied_by_hand_has_lost_its_images(
    library: Library, with_small_disk: Path
) -> None:
    (with_small_disk / "album/00.jpg").unlink()
    report = library.scan()
    assert counts(report) == {"files": PHOTOS, "missing": 1, "unchanged": PHOTOS}
    assert report.away == {}


def test_a_folder_that_had_most_of_many_images_is_taken_for_a_mount_point_until_it_is_deleted(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absences, "MANY_IMAGES", 14)
    library.scan()
    shutil.rmtree(library.root / "2023")
    (library.root / "2023").mkdir()
    assert library.scan().away == {"2023/": 15}
    (library.root / "2023").rmdir()
    assert counts(library.scan()) == {"files": 13, "missing": 15, "unchanged": 13}


def test_most_images_may_move_and_leave_an_empty_folder(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absences, "MANY_IMAGES", 14)
    library.scan()
    (library.root / "2025").mkdir()
    for photo in (library.root / "2023").iterdir():
        photo.rename(library.root / "2025" / photo.name)
    assert counts(library.scan()) == {"files": PHOTOS, "new": 15, "missing": 15, "unchanged": 13}


def test_images_that_are_left_out_from_now_on_are_missing(library: Library, with_small_disk: Path) -> None:
    source = library.settings.sources["photos"].model_copy(update={"exclude": ["album/", "2024/*.jpg"]})
    settings = library.settings.model_copy(update={"sources": {"photos": source}})
    report = Library(settings, library.engine).scan()
    assert counts(report) == {"files": 15, "missing": 14, "unchanged": 15}


@pytest.mark.parametrize("leftover", [".nobackup", "@eaDir"])
def test_what_a_nas_left_in_a_mount_point_makes_no_disk_of_it(library: Library, leftover: str) -> None:
    source = library.settings.sources["photos"].model_copy(update={"exclude": ["@eaDir/"]})
    settings = library.settings.model_copy(update={"sources": {"photos": source}})
    nas = Library(settings, library.engine)
    nas.scan()
    before = nas.images()
    nas.root.rename(nas.root.parent / "unplugged")
    (nas.root / leftover).mkdir(parents=True)
    with pytest.raises(SourceUnavailableError, match="Mount the disk"):
        nas.scan()
    assert nas.images() == before
