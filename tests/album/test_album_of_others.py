"""An album never changes a folder, a file or the target of a link that is somebody else's."""

from pathlib import Path

import pytest

from photolineage.album.folder import LIST, MARKER
from photolineage.stores.root_folder import StorageError
from tests.album.albums import (
    PowerCutError,
    after_the_first_page,
    bring_up_to_date,
    contents,
    event_ids,
    files,
    write,
)
from tests.lineage import Lineage


def test_a_folder_of_other_things_is_left_alone(lineage: Lineage, folder: Path) -> None:
    (folder / "events").mkdir(parents=True)
    (folder / "events/mine.html").write_text("mine")
    with pytest.raises(StorageError, match="is not empty and is not an album"):
        write(lineage, folder)
    assert contents(folder) == {"events/mine.html": b"mine"}


def test_other_files_in_an_album_are_left_alone(lineage: Lineage, folder: Path) -> None:
    """Also those with names like the album's own, which it did not write."""
    write(lineage, folder)
    others = [
        "notes.txt",
        "events/mine.html",
        "events/999999.html",
        "pictures/holiday/1.jpg",
        "pictures/ab/0123.jpg",
    ]
    for name in others:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    (folder / "pictures/a folder").mkdir()
    (folder / "pictures/ab/.partial-folder").mkdir()
    for photo in (lineage.library.root / "2023").iterdir():
        photo.unlink()
    bring_up_to_date(lineage)

    report = write(lineage, folder)

    assert (report.pages.removed, report.pictures.removed) == (2, 13)
    assert {(folder / name).read_text() for name in others} == {"mine"}
    assert (folder / "pictures/a folder").is_dir()


def test_a_folder_with_the_name_of_a_picture_is_named(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    picture = next(folder.glob("pictures/*/*.jpg"))
    picture.unlink()
    picture.mkdir()
    with pytest.raises(
        StorageError, match=f"cannot write {picture}: Is a directory.*move away what has this name"
    ):
        write(lineage, folder)


def test_what_a_killed_run_wrote_is_removed_by_a_later_one(lineage: Lineage, folder: Path) -> None:
    with pytest.raises(PowerCutError):
        write(lineage, folder, after_the_first_page)
    picture = next(folder.glob("pictures/*/*.jpg"))
    partial = picture.with_name(f".partial-{picture.name}")
    picture.rename(partial)
    lineage.execute("DELETE FROM event_image", "DELETE FROM event")

    write(lineage, folder)

    assert set(contents(folder)) == {"index.html", "style.css", MARKER, LIST}


@pytest.mark.parametrize("link", ["events", "months", "pictures", "pictures/{}", LIST])
def test_a_link_in_an_album_is_not_followed(lineage: Lineage, folder: Path, link: str) -> None:
    """Somebody has put it there: the album is in a folder that others can write to, or came as an archive."""
    write(lineage, folder)
    planted = folder / link.format(next(folder.glob("pictures/*/*.jpg")).parent.name)
    victim = folder.with_name("victim")
    planted.rename(victim)
    planted.symlink_to(victim)
    if victim.is_dir():
        (victim / "mine.jpg").write_text("mine")
    for photo in (lineage.library.root / "2023").iterdir():
        photo.unlink()
    lineage.execute("UPDATE event SET title = 'Another title'")
    before = files(victim) if victim.is_dir() else victim.read_bytes()
    bring_up_to_date(lineage)

    with pytest.raises(StorageError, match=f"{planted} is a symbolic link.*Replace the link"):
        write(lineage, folder)

    assert (files(victim) if victim.is_dir() else victim.read_bytes()) == before


@pytest.mark.parametrize("name", ["index.html", "style.css", "events/{}.html", ".partial-index.html"])
def test_a_link_with_the_name_of_a_file_is_replaced(lineage: Lineage, folder: Path, name: str) -> None:
    write(lineage, folder)
    planted = folder / name.format(event_ids(lineage)[0])
    planted.unlink(missing_ok=True)
    victim = folder.with_name("victim")
    victim.write_text("precious")
    planted.symlink_to(victim)
    lineage.execute("UPDATE event SET title = 'Another title'")

    write(lineage, folder)

    assert victim.read_text() == "precious"
    assert not planted.is_symlink()


def test_a_link_instead_of_the_marker_makes_no_album(lineage: Lineage, folder: Path) -> None:
    folder.mkdir()
    victim = folder.with_name("victim")
    victim.write_text("precious")
    (folder / MARKER).symlink_to(victim)
    with pytest.raises(StorageError, match="is not empty and is not an album"):
        write(lineage, folder)
    assert victim.read_text() == "precious"


def test_a_list_that_was_changed_removes_nothing_else(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    mine = [
        "../mine.html",
        "mine.html",
        "events/../mine.html",
        "events/1.html/../../mine.html",
        ".photolineage-album",
    ]
    (folder / "mine.html").write_text("mine")
    (folder.parent / "mine.html").write_text("mine")
    with (folder / LIST).open("ab") as listed:
        listed.write("\n".join([*mine, str(folder / "mine.html"), "a\0b"]).encode() + b"\xff\n")
    write(lineage, folder)
    assert (folder / "mine.html").read_text() == (folder.parent / "mine.html").read_text() == "mine"
    assert (folder / MARKER).is_file()
