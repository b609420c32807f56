"""The contact sheet: the expected photo, and what a model finds in its place."""

import numpy as np
from PIL import Image, ImageOps

from photolineage.pins.judging import PinReport
from photolineage.pins.sheet import CELL, GAP, LINE, MIDDLE, missed_sheet, shown_images
from photolineage.pins.wording import title_of
from photolineage.stores.pictures import BACKGROUND, open_preview, read_previews
from tests.pinned import TEXT, Pinned


def sheet_of(pinned: Pinned, report: PinReport) -> Image.Image | None:
    jpegs = read_previews(pinned.library.engine, pinned.library.previews, shown_images(report))
    return missed_sheet(report, jpegs)


def differs_from(pinned: Pinned, cell: Image.Image, image_id: int) -> float:
    """The mean difference inside the frame."""
    jpeg = read_previews(pinned.library.engine, pinned.library.previews, [image_id])[image_id]
    preview = ImageOps.pad(open_preview(jpeg), CELL, color=BACKGROUND)
    inside = (slice(4, -4), slice(4, -4))
    return float(np.abs(np.asarray(cell, int)[inside] - np.asarray(preview, int)[inside]).mean())


def test_the_expected_photo_and_the_hits_in_its_place(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    pinned.pin(pinned.found_by_both(), within=8)
    report = pinned.judge("tiny-b")
    hits = pinned.ranking("tiny-b")[:3]
    assert shown_images(report) == sorted([photo, *hits])

    sheet = sheet_of(pinned, report)

    assert sheet is not None
    assert sheet.height == LINE + LINE + CELL[1] + 2 * GAP, "one row: the other photo is found"
    lefts = [GAP, *(GAP + CELL[0] + MIDDLE + number * (CELL[0] + GAP) for number in range(3))]
    for left, image_id in zip(lefts, [photo, *hits], strict=True):
        cell = sheet.crop((left, 2 * LINE, left + CELL[0], 2 * LINE + CELL[1]))
        assert differs_from(pinned, cell, image_id) < 1
    empty = GAP + CELL[0] + MIDDLE + 3 * (CELL[0] + GAP)
    beyond = np.asarray(sheet.crop((empty, 2 * LINE, sheet.width, 2 * LINE + CELL[1])))
    assert (beyond == BACKGROUND).all(), "a search within 3 has no fourth hit"
    ranks = [pinned.ranking(model).index(photo) + 1 for model in ("tiny-a", "tiny-b")]
    assert title_of(report, report.having(*{report.pins[0].verdict})[0]) == (
        f"“{TEXT}”: rank {ranks[0]} with tiny-a, rank {ranks[1]} with tiny-b; expected within 3"
    )


def test_a_photo_without_a_preview_is_a_grey_cell(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    sheet = missed_sheet(pinned.judge("tiny-b"), {})
    assert sheet is not None
    assert sheet.getpixel((GAP + 10, 2 * LINE + 10)) == (226, 226, 222)


def test_no_sheet_if_every_photo_is_found(pinned: Pinned) -> None:
    pinned.pin(pinned.found_by_both(), within=8)
    assert sheet_of(pinned, pinned.judge("tiny-b")) is None
