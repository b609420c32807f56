"""Text in pictures: in a font that has the letters of most languages, and wrapped in place of cut."""

from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont

OWN_FONT = Path(__file__).parent / "fonts" / "DejaVuSansCondensed.ttf"
"""Latin, Greek, Cyrillic and more. Pillow's own font has boxes for ö and –."""
FONTS_OF_SYSTEMS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "Arial Unicode.ttf",
    "NotoSans-Regular.ttf",
)
"""Where a letter is looked for that our own font lacks, for example Chinese. Pillow knows the folders."""
_NO_CHARACTER = "\U0010ffff"


def text_width(text: str, size: int) -> float:
    """The width of a line in pixels."""
    return sum(font.getlength(part) for font, part in _parts(text, size))


def draw_line(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, ink: tuple[int, int, int], size: int
) -> None:
    """Draw a line. `place`: its upper left corner."""
    left, baseline = float(place[0]), place[1] + _own_font(size).getmetrics()[0]
    for font, part in _parts(text, size):
        draw.text((left, baseline), part, ink, font, anchor="ls")
        left += font.getlength(part)


def wrap(text: str, width: int, size: int) -> list[str]:
    """The text in lines of at most `width` pixels. A word that is too long is continued on the next line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if text_width(longer, size) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if lines[-1] and text_width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _parts(text: str, size: int) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
    """The text in parts, each with a font that has its letters."""
    for font, characters in groupby(text, lambda character: _font_of(character, size)):
        yield font, "".join(characters)


@cache
def _font_of(character: str, size: int) -> ImageFont.FreeTypeFont:
    own = _own_font(size)
    if character.isspace() or _has(own, character):
        return own
    return next((font for font in _fonts_of_the_system(size) if _has(font, character)), own)


def _has(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Whether the font has a glyph for the character. Every font draws the same for all that it lacks."""
    return bytes(font.getmask(character)) != bytes(font.getmask(_NO_CHARACTER))


@cache
def _own_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(OWN_FONT, size)


@cache
def _fonts_of_the_system(size: int) -> list[ImageFont.FreeTypeFont]:
    found = []
    for name in FONTS_OF_SYSTEMS:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:  # the system has no such font
            continue
    return found
