"""The album in a real browser, from the disk: seen, heard, and used without a mouse."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from photolineage.album.write import write_album
from tests.lineage import Lineage, copy_library, open_lineage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def lineage_with_hostile_titles(
    tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path
) -> Iterator[Lineage]:
    folder = tmp_path_factory.mktemp("album-library")
    with open_lineage(copy_library(built_library_folder, folder)) as lineage:
        lineage.execute(f"UPDATE event SET title = '{HOSTILE} ' || title")
        yield lineage


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, lineage_with_hostile_titles: Lineage) -> Path:
    library = lineage_with_hostile_titles.library
    report = write_album(
        library.engine,
        library.previews,
        library.indexes,
        "tiny-a",
        tmp_path_factory.mktemp("album") / "My album #1",
        on_pictures=lambda _done, _total: None,
        on_pages=lambda _done, _total: None,
    )
    return report.first_page


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: "Browser") -> Iterator["Page"]:
    page = browser.new_page(viewport={"width": 1100, "height": 760}, color_scheme=request.param)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    yield page
    page.close()


def violations(page: "Page") -> list[str]:
    """What axe-core finds against its rules, WCAG 2.2 AA and best practices, in words."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response
    assert len(found["passes"]) > 10
    return [f"{violation['id']}: {violation['nodes'][0]['html']}" for violation in found["violations"]]


def follow(page: "Page", name: str) -> None:
    """Go to a link by the Tab key, and press Enter."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(
            "document.activeElement.matches('a') ? document.activeElement.innerText : ''"
        ).startswith(name):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            with page.expect_navigation():
                page.keyboard.press("Enter")
            return
    raise AssertionError(f"no Tab leads to {name!r}")


def test_the_album_is_gone_through_by_keyboard_and_every_page_is_accessible(
    page: "Page", album: Path
) -> None:
    page.goto(album.as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "Photo album"
    assert violations(page) == []

    follow(page, "June 2024")
    assert page.get_by_role("heading", level=1).inner_text() == "June 2024"
    assert violations(page) == []

    follow(page, HOSTILE)
    title = page.get_by_role("heading", level=1).inner_text()
    assert title.startswith(HOSTILE)
    assert page.title() == title
    assert violations(page) == []

    follow(page, "Before: ")
    assert page.get_by_role("heading", level=1).inner_text() != title
    follow(page, "Photo album")
    assert page.url == album.as_uri()


def test_the_skip_link_comes_first(page: "Page", album: Path) -> None:
    page.goto(album.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_pictures_are_shown_from_the_disk(page: "Page", album: Path) -> None:
    event = max(album.parent.glob("events/*.html"), key=lambda path: path.stat().st_size)
    page.goto(event.as_uri())
    pictures = page.locator("ul.pictures img")
    assert pictures.count() == 13
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        assert picture.evaluate("image => image.naturalWidth") > 0


def test_light_and_dark_differ(browser: "Browser", album: Path) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(album.as_uri())
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert len(grounds) == 2


def test_an_unfinished_album_is_accessible_too(
    page: "Page", lineage_with_hostile_titles: Lineage, tmp_path: Path
) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    library = lineage_with_hostile_titles.library
    with pytest.raises(KeyboardInterrupt):
        write_album(
            library.engine,
            library.previews,
            library.indexes,
            "tiny-a",
            tmp_path / "album",
            on_pictures=lambda _done, _total: None,
            on_pages=interrupt,
        )
    page.goto((tmp_path / "album/index.html").as_uri())
    assert page.get_by_role("heading", level=1).inner_text() == "This album is not complete"
    assert violations(page) == []
