"""Pictures for people to look at: previews by image, and contact sheets."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageDraw, ImageOps
from sqlalchemy import Engine, select

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Image, Shard, Source
from photolineage.catalog.queries import committed_files
from photolineage.catalog.vocabulary import FileKind, ImageState, TakenAtPrecision
from photolineage.stores.captions import draw_line, wrap
from photolineage.stores.previews import PreviewStore
from photolineage.stores.root_folder import StorageError

CELL_PIXELS = (200, 150)
"""Five of them in a row fit into Dagster's dialog, which cuts wider pictures, in a window 1,366 pixels wide."""
CAPTION_SIZE, LINE_PIXELS = 13, 18
MARGIN_PIXELS = 6
COLUMNS = 5
SHEET_BYTES = 225_000
"""300 kB as base64."""
SHEET_QUALITIES = (70, 50, 30, 10)
BACKGROUND, INK = (250, 250, 248), (40, 40, 44)


@dataclass(frozen=True, slots=True)
class Picture:
    """A preview and its caption."""

    jpeg: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class ImageLocation:
    """The path of an image's original, and when (aware, UTC) and where (degrees) it was taken."""

    image_id: int
    source_key: str
    path: Path
    taken_at: datetime | None
    taken_at_precision: TakenAtPrecision | None
    latitude: float | None
    longitude: float | None


def locate_images(engine: Engine, image_ids: Sequence[int]) -> dict[int, ImageLocation]:
    """The locations of originals, by image id. Unknown ids are left out."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(
                Image.id,
                Source.key,
                Source.root,
                Image.path,
                Image.taken_at,
                Image.taken_at_precision,
                Image.latitude,
                Image.longitude,
            )
            .join(Source, Source.id == Image.source_id)
            .where(Image.id.in_(image_ids))
        ).all()
    return {
        image_id: ImageLocation(image_id, key, Path(root, path), taken_at, precision, latitude, longitude)
        for image_id, key, root, path, taken_at, precision, latitude, longitude in rows
    }


def locate_copies(engine: Engine, image_ids: Sequence[int]) -> dict[int, tuple[Path, ...]]:
    """The paths of copies, sorted, by the id of the image that they duplicate. Images without copies are left out."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(Image.duplicate_of_id, Source.root, Image.path)
            .join(Source, Source.id == Image.source_id)
            .where(Image.duplicate_of_id.in_(image_ids))
            .order_by(Image.path)
        ).all()
    copies: dict[int, tuple[Path, ...]] = {}
    for image_id, root, path in rows:
        assert image_id is not None
        copies[image_id] = (*copies.get(image_id, ()), Path(root, path))
    return copies


def locate_stacks(engine: Engine, image_ids: Sequence[int]) -> dict[int, tuple[Path, ...]]:
    """The paths of the other images of stacks, sorted, by the id of the image that the stack shows. Without copies."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(Image.stack_of_id, Source.root, Image.path)
            .join(Source, Source.id == Image.source_id)
            .where(
                Image.stack_of_id.in_(image_ids),
                Image.state == ImageState.REGISTERED,
                Image.duplicate_of_id.is_(None),
            )
            .order_by(Image.path)
        ).all()
    stacks: dict[int, tuple[Path, ...]] = {}
    for image_id, root, path in rows:
        assert image_id is not None
        stacks[image_id] = (*stacks.get(image_id, ()), Path(root, path))
    return stacks


def read_previews(engine: Engine, previews: PreviewStore, image_ids: Sequence[int]) -> dict[int, bytes]:
    """The previews of images as JPEG, by id. Images without a readable preview are left out."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(Image.id, Image.content_hash, Image.shard_id, Shard.key)
            .join(Shard, Shard.id == Image.shard_id)
            .where(Image.id.in_(image_ids))
        ).all()
        files = {
            shard_id: [
                file.path
                for file in committed_files(connection, FileKind.PREVIEW, shard_id=shard_id)
                if previews.is_sound(file.path, file.size_bytes)
            ]
            for shard_id in {row.shard_id for row in rows}
        }
    readers = {shard_id: previews.open(paths) for shard_id, paths in files.items()}
    found = {row.id: readers[row.shard_id].jpeg(row.id, row.content_hash) for row in rows}
    return {image_id: jpeg for image_id, jpeg in found.items() if jpeg is not None and _decodes(jpeg)}


def _decodes(jpeg: bytes) -> bool:
    try:
        open_preview(jpeg)
    except OSError:
        return False
    return True


def open_preview(jpeg: bytes) -> PillowImage.Image:
    """A decoded preview, RGB."""
    return PillowImage.open(io.BytesIO(jpeg)).convert("RGB")


def contact_sheet(pictures: Sequence[Picture]) -> PillowImage.Image:
    """An RGB sheet of captioned pictures, with `COLUMNS` pictures per row. Pictures are scaled, not cropped.

    Captions are wrapped: the pictures of a row have room for the longest one.
    """
    columns = max(1, min(COLUMNS, len(pictures)))
    captions = [wrap(picture.caption, CELL_PIXELS[0], CAPTION_SIZE) for picture in pictures]
    rows = [range(first, min(first + columns, len(pictures))) for first in range(0, len(pictures), columns)]
    heights = [
        CELL_PIXELS[1] + MARGIN_PIXELS + LINE_PIXELS * max(len(captions[number]) for number in row)
        for row in rows
    ] or [CELL_PIXELS[1] + MARGIN_PIXELS + LINE_PIXELS]
    width = CELL_PIXELS[0] + MARGIN_PIXELS
    sheet = PillowImage.new(
        "RGB", (columns * width + MARGIN_PIXELS, sum(heights) + MARGIN_PIXELS), BACKGROUND
    )
    draw = ImageDraw.Draw(sheet)
    for row, top in zip(rows, accumulate(heights, initial=MARGIN_PIXELS), strict=False):
        for column, number in enumerate(row):
            left = MARGIN_PIXELS + column * width
            cell = ImageOps.contain(open_preview(pictures[number].jpeg), CELL_PIXELS)
            sheet.paste(
                cell, (left + (CELL_PIXELS[0] - cell.width) // 2, top + (CELL_PIXELS[1] - cell.height) // 2)
            )
            for line, text in enumerate(captions[number]):
                place = left, top + CELL_PIXELS[1] + 2 + line * LINE_PIXELS
                draw_line(draw, place, text, INK, CAPTION_SIZE)
    return sheet


def save_picture(picture: PillowImage.Image, path: Path) -> None:
    """Write a picture in the format that the suffix of `path` names. Raises StorageError if that fails."""
    try:
        picture.save(path)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path}: cannot write the picture: {error}. Name a file in an existing folder, with a suffix "
            "such as .jpg, .png or .webp"
        ) from error


def as_markdown(sheet: PillowImage.Image, title: str) -> str:
    """The sheet as a Markdown image that contains its bytes, for Dagster's UI.

    Dagster's event log stores every byte. So the quality is lowered, through `SHEET_QUALITIES`, until the sheet has at
    most `SHEET_BYTES`.
    """
    for quality in SHEET_QUALITIES:
        buffer = io.BytesIO()
        sheet.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= SHEET_BYTES:
            break
    return f"![{title}](data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()})"
