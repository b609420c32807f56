"""Pictures of the pins that a model does not find: each expected photo, and the hits that are there in its place."""

from collections.abc import Mapping
from typing import Final

from PIL import Image, ImageDraw, ImageOps

from photolineage.pins.judging import JudgedPin, PinReport, Verdict
from photolineage.pins.wording import heading
from photolineage.stores.pictures import BACKGROUND, as_markdown, open_preview

SHOWN_PINS: Final = 10
"""Dagster's event log stores the pictures: about 20 kB for each pin."""
SHOWN_HITS: Final = 7
CELL: Final = (120, 90)
GAP: Final = 4
MIDDLE: Final = 28
FRAME: Final = (214, 96, 32)
"""The color of the frame around an expected photo."""
EMPTY: Final = (226, 226, 222)


def shown_images(report: PinReport) -> list[int]:
    """The ids of the images in the pictures."""
    shown = _shown(report)
    expected = {judged.image_id for judged in shown if judged.image_id is not None}
    return sorted(expected | {hit.shown_id for judged in shown for hit in judged.answer.hits[:SHOWN_HITS]})


def missed_photos(report: PinReport, jpegs: Mapping[int, bytes]) -> str | None:
    """Markdown with a heading and a picture for each pin, those that are lost first; None if every photo was found.

    `jpegs` are previews by image id.
    """
    shown = _shown(report)
    if not shown:
        return None
    parts = [f"In the frame: the expected photo. Beside it: the first hits with {report.model_key}."]
    for judged in shown:
        parts.append(heading(report, judged))
        parts.append(as_markdown(picture_of(judged, jpegs), "The expected photo, and the hits in its place"))
    more = len(report.having(Verdict.LOST, Verdict.NOT_FOUND)) - len(shown)
    return "\n\n".join([*parts, *([f"And {more} more."] if more else [])])


def picture_of(judged: JudgedPin, jpegs: Mapping[int, bytes]) -> Image.Image:
    """The expected photo in a frame, and the first hits, in one row."""
    hits_left = GAP + CELL[0] + MIDDLE
    size = (hits_left + SHOWN_HITS * (CELL[0] + GAP), CELL[1] + 2 * GAP)
    picture = Image.new("RGB", size, BACKGROUND)
    _paste(picture, GAP, jpegs.get(judged.image_id or 0))
    frame = (GAP, GAP, GAP + CELL[0] - 1, GAP + CELL[1] - 1)
    ImageDraw.Draw(picture).rectangle(frame, outline=FRAME, width=3)
    for column, hit in enumerate(judged.answer.hits[:SHOWN_HITS]):
        _paste(picture, hits_left + column * (CELL[0] + GAP), jpegs.get(hit.shown_id))
    return picture


def _shown(report: PinReport) -> list[JudgedPin]:
    return report.having(Verdict.LOST, Verdict.NOT_FOUND)[:SHOWN_PINS]


def _paste(picture: Image.Image, left: int, jpeg: bytes | None) -> None:
    """The preview in a cell; a grey cell if there is none."""
    cell = (
        Image.new("RGB", CELL, EMPTY)
        if jpeg is None
        else ImageOps.pad(open_preview(jpeg), CELL, color=BACKGROUND)
    )
    picture.paste(cell, (left, GAP))
