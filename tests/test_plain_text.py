"""Text from outside, made safe to show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from photolineage.plain_text import cell_code, without_links

MARKDOWN = MarkdownIt("commonmark", {"html": True})
HOSTILE = st.text(alphabet="\\![]()<>:/`*_ \nab", max_size=25)
ADDRESS = "https://example.invalid/x.png"


@pytest.mark.parametrize(
    "name",
    [
        f"![]({ADDRESS}).jpg",
        f"\\![]({ADDRESS}).jpg",
        f"\\\\![a]({ADDRESS}).jpg",
        f"![a][b]\n\n[b]: {ADDRESS}",
        f"![b]\n\n[b]: {ADDRESS}",
        f"<img src={ADDRESS}>",
        f"<{ADDRESS}>",
        f"[a]({ADDRESS})",
    ],
)
def test_a_name_is_no_picture_and_no_link(name: str) -> None:
    assert ADDRESS in MARKDOWN.render(name)
    before, after = MARKDOWN.render(name), MARKDOWN.render(without_links(name))
    assert "<img" in before or "<a " in before
    assert "<img" not in after
    assert "<a " not in after


@given(HOSTILE)
def test_no_text_is_a_picture_or_a_link(text: str) -> None:
    rendered = MARKDOWN.render(without_links(f"photos/{text}: cannot be read"))
    assert "<img" not in rendered
    assert "<a " not in rendered
    assert "<a>" not in rendered


@pytest.mark.parametrize(
    "name", [f"![]({ADDRESS})\\|.jpg", f"a|![]({ADDRESS})", f"`|![]({ADDRESS})", "a\n|b|"]
)
def test_a_name_stays_in_its_cell_and_is_no_picture(name: str) -> None:
    tables = MarkdownIt("commonmark", {"html": True}).enable("table")
    cell = cell_code(name)
    assert "|" not in cell  # an escaped one ends the cell in some readers
    rendered = tables.render(f"| a | b |\n| --- | --- |\n| {cell} | end |")
    assert "<img" not in rendered
    assert rendered.count("<td>") == 2


def test_usual_text_is_left_as_it_is() -> None:
    text = (
        "shard 'photos-00001': 3 images were not embedded (recall_bar = 0.97): /photos/[2024] Sylt!/a b.jpg"
    )
    assert without_links(text) == text
