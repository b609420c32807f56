"""The pictures of a pin: the expected photo, and what a model finds in its place."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageOps

from photolineage.pins.judging import Verdict
from photolineage.pins.pictures import CELL, GAP, MIDDLE, missed_photos, picture_of, shown_images
from photolineage.stores.pictures import BACKGROUND, open_preview, read_previews
from tests.pinned import TEXT, Pinned


def differs_from(cell: Image.Image, jpeg: bytes) -> float:
    """The mean difference inside the frame."""
    preview = ImageOps.pad(open_preview(jpeg), CELL, color=BACKGROUND)
    inside = (slice(4, -4), slice(4, -4))
    return float(np.abs(np.asarray(cell, int)[inside] - np.asarray(preview, int)[inside]).mean())


def previews(pinned: Pinned, image_ids: list[int]) -> Mapping[int, bytes]:
    return read_previews(pinned.library.engine, pinned.library.previews, image_ids)


def test_the_expected_photo_and_the_hits_in_its_place(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    pinned.pin(pinned.found_by_both(), within=8)
    report = pinned.judge("tiny-b")
    hits = pinned.ranking("tiny-b")[:3]
    assert shown_images(report) == sorted([photo, *hits])
    jpegs = previews(pinned, shown_images(report))
    (lost,) = report.having(Verdict.LOST)

    picture = picture_of(lost, jpegs)

    first = GAP + CELL[0] + MIDDLE
    lefts = [GAP, *(first + number * (CELL[0] + GAP) for number in range(3))]
    for left, image_id in zip(lefts, [photo, *hits], strict=True):
        cell = picture.crop((left, GAP, left + CELL[0], GAP + CELL[1]))
        assert differs_from(cell, jpegs[image_id]) < 1
    beyond = np.asarray(picture.crop((first + 3 * (CELL[0] + GAP), 0, *picture.size)))
    assert (beyond == BACKGROUND).all(), "a search within 3 has no fourth hit"


def test_the_heading_names_the_search_the_ranks_and_the_photo(pinned: Pinned) -> None:
    photo = pinned.lost()
    pinned.pin(photo)
    ranks = [pinned.ranking(model).index(photo) + 1 for model in ("tiny-a", "tiny-b")]
    shown = missed_photos(pinned.judge("tiny-b"), {})
    assert shown is not None
    heading = (
        f"**lost:** `“{TEXT}”`: rank {ranks[0]} with tiny-a, rank {ranks[1]} with tiny-b; expected within 3. "
        f"Expected photo: `{pinned.library.root / pinned.path_of(photo)}`"
    )
    first = "In the frame: the expected photo. Beside it: the first hits with tiny-b."
    assert shown.split("\n\n")[:2] == [first, heading]


def test_a_photo_without_a_preview_is_a_grey_cell(pinned: Pinned) -> None:
    pinned.pin(pinned.lost())
    picture = picture_of(pinned.judged("tiny-b"), {})
    assert picture.getpixel((GAP + 10, GAP + 10)) == (226, 226, 222)


def test_no_more_pins_are_shown_than_the_event_log_should_hold(pinned: Pinned) -> None:
    pinned.pin(*pinned.ranking("tiny-a")[1:13], within=1)
    report = pinned.judge("tiny-a")
    assert {judged.verdict for judged in report.pins} == {Verdict.NOT_FOUND}
    shown = str(missed_photos(report, previews(pinned, shown_images(report))))
    assert shown.count("**not found:**") == 10
    assert shown.endswith("\n\nAnd 2 more.")
    assert len(shown) < 400_000


def test_no_pictures_if_every_photo_is_found(pinned: Pinned) -> None:
    pinned.pin(pinned.found_by_both(), within=8)
    report = pinned.judge("tiny-b")
    assert (shown_images(report), missed_photos(report, {})) == ([], None)
