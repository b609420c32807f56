"""A browser, where there is one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser_page import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    sync_api = pytest.importorskip(
        "playwright.sync_api",
        reason="there is no playwright: pip install --constraint constraints.txt '.[test]'",
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()
