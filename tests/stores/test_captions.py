"""Captions: letters that Pillow's own font lacks, and whole titles."""

import io
from itertools import pairwise

import pytest
from PIL import Image, ImageDraw, ImageFont

from photolineage.stores.captions import OWN_FONT, draw_line, text_width, wrap
from photolineage.stores.pictures import CAPTION_SIZE, CELL_PIXELS, LINE_PIXELS, Picture, contact_sheet

LETTERS = "äöüß ÀÉîñ łŻ ş İ œ – — … “”‘’ € × · АЯбщё Ωλή"


def drawn(text: str) -> bytes:
    image = Image.new("L", (60, 40), 255)
    draw_line(ImageDraw.Draw(image), (4, 4), text, 0, 20)  # type: ignore[arg-type]  # of a grey picture
    return image.tobytes()


def test_every_letter_is_drawn_as_itself() -> None:
    characters = sorted(set(LETTERS.replace(" ", "")))
    assert len(characters) > 30
    box = drawn("\U0010ffff")
    assert [character for character in characters if drawn(character) == box] == []
    pillows = ImageFont.load_default(20)
    assert bytes(pillows.getmask("ł")) == bytes(
        pillows.getmask("\U0010ffff")
    )  # why the font is in the package
    assert OWN_FONT.with_name("LICENSE").is_file()


def test_titles_are_wrapped_and_nothing_is_lost() -> None:
    title = "Köln – Märchen und Nebel an einem sehr langen Sonntag im Juni (312)"
    lines = wrap(title, 120, CAPTION_SIZE)
    assert " ".join(lines) == title
    assert len(lines) > 2
    assert all(text_width(line, CAPTION_SIZE) <= 120 for line in lines)
    for line, following in pairwise(lines):
        assert text_width(f"{line} {following.split()[0]}", CAPTION_SIZE) > 120


def test_a_word_that_is_too_long_continues_on_the_next_line() -> None:
    path = "/photos/" + "x" * 200 + "/a.jpg"
    lines = wrap(f"of {path}", 120, CAPTION_SIZE)
    assert lines[0] == "of"
    assert "".join(lines[1:]) == path
    assert all(text_width(line, CAPTION_SIZE) <= 120 for line in lines)


def test_nothing_is_one_empty_line() -> None:
    assert wrap("", 100, CAPTION_SIZE) == [""]


@pytest.mark.parametrize(("longest", "lines"), [("short", 1), ("a title " * 8, 2)])
def test_a_row_has_room_for_its_longest_caption(longest: str, lines: int) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(jpeg, "JPEG")
    assert len(wrap(longest, CELL_PIXELS[0], CAPTION_SIZE)) == lines
    one = contact_sheet([Picture(jpeg.getvalue(), "short")])
    sheet = contact_sheet([Picture(jpeg.getvalue(), text) for text in ("short", longest, *["short"] * 4)])
    row = one.height - 6
    assert sheet.height == 2 * row + (lines - 1) * LINE_PIXELS + 6
