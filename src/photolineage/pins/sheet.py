"""The contact sheet of pins that a model does not find: the expected photos, and the hits in their place."""

from collections.abc import Mapping
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from photolineage.pins.judging import JudgedPin, PinReport, Verdict
from photolineage.pins.wording import title_of
from photolineage.stores.pictures import BACKGROUND, INK, open_preview

SHOWN_PINS: Final = 12
SHOWN_HITS: Final = 7
CELL: Final = (120, 90)
LINE: Final = 22
GAP: Final = 4
MIDDLE: Final = 36
FRAME: Final = (214, 96, 32)
"""The color of the frame around an expected photo."""
EMPTY: Final = (226, 226, 222)


def shown_images(report: PinReport) -> list[int]:
    """The ids of the images on the sheet."""
    shown = _shown(report)
    expected = {judged.image_id for judged in shown if judged.image_id is not None}
    return sorted(expected | {hit.image_id for judged in shown for hit in judged.answer.hits[:SHOWN_HITS]})


def missed_sheet(report: PinReport, jpegs: Mapping[int, bytes]) -> Image.Image | None:
    """An RGB sheet with a row for each pin, those that are lost first; None if every photo was found.

    `jpegs` are previews by image id.
    """
    shown = _shown(report)
    if not shown:
        return None
    row = LINE + CELL[1] + 2 * GAP
    hits_left = GAP + CELL[0] + MIDDLE
    width = hits_left + SHOWN_HITS * (CELL[0] + GAP)
    sheet = Image.new("RGB", (width, LINE + len(shown) * row), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    draw.text((GAP, 2), "expected photo", FRAME, font)
    draw.text((hits_left, 2), f"the first hits with {report.model_key}", INK, font)
    for number, judged in enumerate(shown):
        top = LINE + number * row
        draw.text((GAP, top + 2), title_of(report, judged), INK, font)
        _paste(sheet, (GAP, top + LINE), jpegs.get(judged.image_id or 0))
        draw.rectangle((GAP, top + LINE, GAP + CELL[0] - 1, top + LINE + CELL[1] - 1), outline=FRAME, width=3)
        for column, hit in enumerate(judged.answer.hits[:SHOWN_HITS]):
            place = (hits_left + column * (CELL[0] + GAP), top + LINE)
            _paste(sheet, place, jpegs.get(hit.image_id))
    return sheet


def _shown(report: PinReport) -> list[JudgedPin]:
    return report.having(Verdict.LOST, Verdict.NOT_FOUND)[:SHOWN_PINS]


def _paste(sheet: Image.Image, place: tuple[int, int], jpeg: bytes | None) -> None:
    """The preview in a cell; a grey cell if there is none."""
    cell = (
        Image.new("RGB", CELL, EMPTY)
        if jpeg is None
        else ImageOps.pad(open_preview(jpeg), CELL, color=BACKGROUND)
    )
    sheet.paste(cell, place)
