"""The contact sheet of a comparison: each query with the hits of the serving model (left) and of the candidate."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageOps

from photolineage.stores.captions import draw_line, wrap
from photolineage.stores.pictures import BACKGROUND, INK
from photolineage.stores.vector_index import Hit
from photolineage.upgrade.comparing.comparison import ComparedQuery, Comparison, ids

SHOWN_QUERIES = 12
SHOWN_HITS = 5
CELL = (96, 72)
LINE, TEXT_SIZE = 20, 14
GAP = 4
MIDDLE = 28
FRAME = (214, 96, 32)
"""The color of the frame around a hit that is not among the ten hits of the other model."""


def shown_images(comparison: Comparison) -> list[int]:
    """The ids of the images on the sheet."""
    shown = comparison.queries[:SHOWN_QUERIES]
    both = (hits for query in shown for hits in (query.serving, query.candidate))
    return sorted({hit.shown_id for hits in both for hit in hits[:SHOWN_HITS]})


def comparison_sheet(comparison: Comparison, jpegs: Mapping[int, bytes]) -> Image.Image:
    """An RGB sheet of at most `SHOWN_QUERIES` rows; `jpegs` are previews by image id."""
    queries = comparison.queries[:SHOWN_QUERIES]
    half = SHOWN_HITS * (CELL[0] + GAP)
    width = 2 * half + MIDDLE + GAP
    titles = [wrap(_title(query), width - 2 * GAP, TEXT_SIZE) for query in queries]
    heights = [len(lines) * LINE + CELL[1] + GAP for lines in titles]
    sheet = Image.new("RGB", (width, 2 * LINE + sum(heights)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw_line(draw, (GAP, 2), f"{comparison.serving.model_key} (serving)", INK, TEXT_SIZE)
    draw_line(draw, (GAP + half + MIDDLE, 2), comparison.candidate.model_key, INK, TEXT_SIZE)
    framed = "framed: not among the ten hits of the other model"
    draw_line(draw, (GAP, 2 + LINE), framed, FRAME, TEXT_SIZE)
    top = 2 * LINE
    for query, lines, height in zip(queries, titles, heights, strict=True):
        for line, text in enumerate(lines):
            draw_line(draw, (GAP, top + 2 + line * LINE), text, INK, TEXT_SIZE)
        for left, hits, others in (
            (GAP, query.serving, query.candidate),
            (GAP + half + MIDDLE, query.candidate, query.serving),
        ):
            _draw_hits(sheet, (left, top + len(lines) * LINE), hits, ids(others), jpegs)
        top += height
    return sheet


def _title(query: ComparedQuery) -> str:
    common = len(ids(query.serving) & ids(query.candidate))
    return f"“{query.text}”: {common} of {max(len(query.serving), len(query.candidate))} hits in common"


def _draw_hits(
    sheet: Image.Image,
    place: tuple[int, int],
    hits: Sequence[Hit],
    others: frozenset[int],
    jpegs: Mapping[int, bytes],
) -> None:
    draw = ImageDraw.Draw(sheet)
    for column, hit in enumerate(hits[:SHOWN_HITS]):
        left, top = place[0] + column * (CELL[0] + GAP), place[1]
        if hit.shown_id in jpegs:
            picture = Image.open(io.BytesIO(jpegs[hit.shown_id])).convert("RGB")
            sheet.paste(ImageOps.pad(picture, CELL, color=BACKGROUND), (left, top))
        if hit.shown_id not in others:
            draw.rectangle((left, top, left + CELL[0] - 1, top + CELL[1] - 1), outline=FRAME, width=3)
