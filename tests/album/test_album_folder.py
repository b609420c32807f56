"""The album in a folder: whole, kept up to date, never mistaken for whole, and never anybody else's folder."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock

from photolineage.album.folder import LIST, MARKER, Changes
from photolineage.album.write import write_album
from photolineage.stores.root_folder import StorageError
from tests.album.albums import (
    Html,
    PowerCutError,
    after_the_first_page,
    bring_up_to_date,
    changed,
    contents,
    event_ids,
    files,
    write,
)
from tests.library import draw_photo
from tests.lineage import Lineage


def test_every_event_has_a_page_with_its_pictures(lineage: Lineage, folder: Path) -> None:
    report = write(lineage, folder)

    first, second = event_ids(lineage)
    pages = {
        "index.html",
        "style.css",
        "months/2023-06.html",
        "months/2024-06.html",
        f"events/{first}.html",
        f"events/{second}.html",
    }
    found = contents(folder)
    pictures = {name for name in found if name.startswith("pictures/")}
    assert set(found) - pictures == pages | {MARKER, LIST}
    assert (report.events, report.images) == (2, 26)  # a copy counts with its original
    assert report.pages == Changes(len(pages), 0, 0)
    assert report.pictures == Changes(len(pictures), 0, 0) == Changes(26, 0, 0)
    for event_id, summary in ((first, "13, and 1 file more, a copy or part of a stack"), (second, "13")):
        page = Html(folder / f"events/{event_id}.html")
        shown = [attributes for tag, attributes in page.elements if tag == "img" and attributes["alt"]]
        assert len(shown) == 13
        assert f"<dd>{summary}</dd>" in (folder / f"events/{event_id}.html").read_text()
        assert {attributes["loading"] for attributes in shown} == {"lazy"}
        assert all(attributes["alt"].endswith(".jpg") for attributes in shown)


def test_every_link_leads_to_something_in_the_folder(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    links = 0
    for path in folder.rglob("*.html"):
        page = Html(path)
        targets = page.values("a", "href") + page.values("img", "src") + page.values("link", "href")
        for target in targets:
            address = urlsplit(target)
            assert (address.scheme, address.netloc) == ("", "")
            aim = (path.parent / unquote(address.path)).resolve() if address.path else path
            assert aim.is_relative_to(folder.resolve())
            assert aim.is_file(), target
            if address.fragment:
                assert f'id="{address.fragment}"' in aim.read_text(), target
        links += len(targets)
    assert links > 40


def test_an_event_shows_what_looks_like_it_elsewhere(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    first, second = event_ids(lineage)
    for event_id, other in ((first, second), (second, first)):
        page = Html(folder / f"events/{event_id}.html")
        assert "Similar pictures of other events" in page.text
        assert [link for link in page.values("a", "href") if link.startswith(f"{other}.html#p")]


def test_a_cover_that_is_not_in_the_index_has_nothing_like_it(lineage: Lineage, folder: Path) -> None:
    """The first event's cover is the copy of a file: only the file that it repeats is in the index."""
    first, second = event_ids(lineage)
    lineage.execute(
        "UPDATE event SET cover_image_id = (SELECT id FROM image WHERE duplicate_of_id IS NOT NULL) "
        f"WHERE id = {first}"
    )
    write(lineage, folder)
    assert "Similar pictures" not in (folder / f"events/{first}.html").read_text()
    assert "Similar pictures" in (folder / f"events/{second}.html").read_text()


def test_a_second_run_writes_nothing(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    before = files(folder)
    report = write(lineage, folder)
    assert (report.pages, report.pictures) == (Changes(0, 6, 0), Changes(0, 26, 0))
    assert files(folder) == before


def test_a_new_photo_changes_the_pages_that_show_it(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    before = files(folder)
    _, second = event_ids(lineage)
    draw_photo(lineage.library.root / "2024/late.jpg", 900, taken_at=datetime(2024, 6, 1, 12, 55, tzinfo=UTC))
    bring_up_to_date(lineage)

    report = write(lineage, folder)

    written = {name for name in changed(before, files(folder)) if not name.startswith("pictures/")}
    written.remove(LIST)
    assert {"index.html", "months/2024-06.html", f"events/{second}.html"} <= written
    assert not written & {"style.css", "months/2023-06.html"}
    assert report.pages.written == len(written)
    assert report.pictures == Changes(1, 26, 0)
    assert "late.jpg" in (folder / f"events/{second}.html").read_text()


def test_the_pages_and_pictures_of_an_event_that_is_gone_go(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    first, second = event_ids(lineage)
    for photo in (lineage.library.root / "2023").iterdir():
        photo.unlink()
    bring_up_to_date(lineage)

    report = write(lineage, folder)

    assert (report.pages.removed, report.pictures) == (2, Changes(0, 13, 13))
    left = contents(folder)
    assert f"events/{first}.html" not in left
    assert f"events/{second}.html" in left
    assert "months/2023-06.html" not in left
    fresh = folder.with_name("fresh")
    write(lineage, fresh)
    assert contents(fresh) == left


def test_an_interrupted_album_is_not_taken_for_a_whole_one(lineage: Lineage, folder: Path) -> None:
    with pytest.raises(PowerCutError):
        write(lineage, folder, after_the_first_page)
    assert "This album is not complete" in (folder / "index.html").read_text()

    write(lineage, folder)

    fresh = folder.with_name("fresh")
    write(lineage, fresh)
    assert contents(folder) == contents(fresh)
    assert "not complete" not in (folder / "index.html").read_text()


def test_an_interrupted_update_is_not_taken_for_a_whole_album(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    lineage.execute("UPDATE event SET title = 'Another title'")
    with pytest.raises(PowerCutError):
        write(lineage, folder, after_the_first_page)
    assert "This album is not complete" in (folder / "index.html").read_text()

    write(lineage, folder)

    assert "Another title" in (folder / "index.html").read_text()


def test_an_interrupted_run_that_had_nothing_to_change_leaves_a_whole_album(
    lineage: Lineage, folder: Path
) -> None:
    write(lineage, folder)
    before = files(folder)
    with pytest.raises(PowerCutError):
        write(lineage, folder, after_the_first_page)
    assert files(folder) == before


def test_what_is_left_of_a_picture_is_written_again(lineage: Lineage, folder: Path) -> None:
    """A power cut leaves an empty file, and a kill one with a name of its own."""
    write(lineage, folder)
    picture = next(folder.glob("pictures/*/*.jpg"))
    whole = picture.read_bytes()
    picture.write_bytes(b"")
    partial = picture.with_name(f".partial-{picture.name}")
    partial.write_bytes(whole[:100])

    report = write(lineage, folder)

    assert picture.read_bytes() == whole
    assert not partial.exists()
    assert report.pictures == Changes(1, 25, 0)


HOSTILE = "<script>alert(1)</script>"
HOSTILE_NAMES = [
    '"><img src=x onerror=alert(1)>.jpg',
    "' onload='alert(1).jpg",
    "{{ 7 * 7 }}.jpg",
    "a&amp;b.jpg",
]


def test_what_people_wrote_is_shown_and_never_obeyed(lineage: Lineage, folder: Path) -> None:
    for number, name in enumerate([*HOSTILE_NAMES, "\udcff.jpg"]):
        taken_at = datetime(2024, 6, 1, 12, 50 + number, tzinfo=UTC)
        draw_photo(lineage.library.root / "2024" / name, 900 + number, taken_at=taken_at)
    bring_up_to_date(lineage)
    lineage.execute(f"UPDATE event SET title = '{HOSTILE}'")

    write(lineage, folder)

    pages = {path: Html(path) for path in folder.rglob("*.html")}
    assert len(pages) == 5
    for page in pages.values():
        assert "script" not in {tag for tag, _ in page.elements}
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert HOSTILE in page.text
    _, second = event_ids(lineage)
    page = pages[folder / f"events/{second}.html"]
    for name in [*HOSTILE_NAMES, "\\udcff.jpg"]:
        assert name in page.text
        assert [alt for alt in page.values("img", "alt") if alt.endswith(name)]


def test_an_album_is_written_by_one_process_at_a_time(lineage: Lineage, folder: Path) -> None:
    write(lineage, folder)
    with (
        FileLock(folder / MARKER),
        pytest.raises(StorageError, match="another process is writing this album"),
    ):
        write(lineage, folder)


def test_a_folder_that_cannot_be_made_is_named(lineage: Lineage, folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(StorageError, match="Give a folder that you can write to"):
        write(lineage, folder)


def test_progress_counts_images(lineage: Lineage, folder: Path) -> None:
    library = lineage.library
    pictures: list[tuple[int, int]] = []
    pages: list[tuple[int, int]] = []
    write_album(
        library.engine,
        library.previews,
        library.indexes,
        "tiny-a",
        folder,
        on_pictures=lambda *counts: pictures.append(counts),
        on_pages=lambda *counts: pages.append(counts),
    )
    assert (pictures[0], pages[0]) == ((0, 27), (0, 26))  # a copy is no picture of its own
    assert (pictures[-1], pages[-1]) == ((27, 27), (26, 26))
    assert sorted(pictures) == pictures
