"""The demo's photo library.

`python -m photolineage.demo.library DIR` draws it to DIR/photos and writes DIR/truth.json.
"""

import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw, ImageFont
from pydantic import ValidationError
from rich.progress import Progress

from photolineage.demo.exif import exif_of
from photolineage.demo.plan import LIBRARY_SEED, PHONE, Plan, Shot, plan_library
from photolineage.demo.scenes import render_scene
from photolineage.demo.truth import EventTruth, ImageKind, ImageTruth, LibraryTruth

__all__ = ["EventTruth", "ImageKind", "ImageTruth", "LibraryTruth", "render_library"]

LIBRARY_VERSION = 1
"""Increase this when the drawn library changes, so that older libraries are drawn again."""

JPEG_QUALITY = 88
DUPLICATE_PATH = "Backup/old phone/{}"
SCREENSHOT_PATH = "Phone/Screenshots/Screenshot_20240602-101544.png"
BLANK_PATH = "2023/2023-07-14 Livorno/DSC00990.jpg"
CUT_PATH = "2024/2024-09-14 Göreme/DSC00991.jpg"
CUT_BYTES = 400
_BURST_MARGIN = 24
_STORED_TURN = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def render_library(
    photos: Path, truth: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> LibraryTruth:
    """Draw the library to `photos`, and write its truth last.

    A complete library of this version is left unchanged. `on_progress` gets the number of files done and the total.
    """
    known = _complete_library(photos, truth)
    if known is not None:
        return known
    plan = plan_library()
    extras = _extra_truths(plan)
    images = sorted((*(shot.truth for shot in plan.shots), *extras), key=lambda image: image.path)
    truth.unlink(missing_ok=True)
    for folder in {(photos / image.path).parent for image in images}:
        folder.mkdir(parents=True, exist_ok=True)
    _draw_shots(photos, plan.shots, len(images), on_progress or _silent)
    _write_extras(photos, plan, extras)
    for image in images:
        seconds = image.taken_at.timestamp()
        os.utime(photos / image.path, (seconds, seconds))
    drawn = LibraryTruth(
        version=LIBRARY_VERSION,
        digest=_digest(photos, (image.path for image in images)),
        events=plan.events,
        images=tuple(images),
    )
    drawn.write(truth)
    if on_progress:
        on_progress(len(images), len(images))
    return drawn


def _silent(_done: int, _total: int) -> None:
    """Report no progress."""


def _complete_library(photos: Path, truth: Path) -> LibraryTruth | None:
    try:
        known = LibraryTruth.read(truth)
        if known.version == LIBRARY_VERSION and known.digest == _digest(
            photos, (i.path for i in known.images)
        ):
            return known
    except (FileNotFoundError, ValidationError):
        pass
    return None


def _digest(photos: Path, paths: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path}\0".encode())
        digest.update(hashlib.sha256((photos / path).read_bytes()).digest())
    return digest.hexdigest()


def _draw_shots(
    photos: Path, shots: tuple[Shot, ...], total: int, on_progress: Callable[[int, int], None]
) -> None:
    workers = min(8, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        drawn = pool.map(_draw_shot, [photos] * len(shots), shots, chunksize=4)
        for done, _ in enumerate(drawn, start=1):
            on_progress(done, total)


def _draw_shot(photos: Path, shot: Shot) -> None:
    width, height = shot.camera.size
    upright = (height, width) if shot.is_portrait else (width, height)
    picture = _burst_frame(shot, upright) if shot.frame is not None else _picture(shot, upright)
    turn = _STORED_TURN.get(shot.orientation)
    stored = picture.transpose(turn) if turn is not None else picture
    stored.save(photos / shot.truth.path, "JPEG", quality=JPEG_QUALITY, exif=exif_of(shot))


def _picture(shot: Shot, size: tuple[int, int]) -> Image.Image:
    assert shot.truth.scene is not None
    return render_scene(shot.truth.scene, np.random.default_rng([LIBRARY_SEED, shot.seed]), size)


def _burst_frame(shot: Shot, size: tuple[int, int]) -> Image.Image:
    """The motif of the burst, shaken as by a hand and with a slightly different brightness."""
    wide = _picture(shot, (size[0] + _BURST_MARGIN, size[1] + _BURST_MARGIN))
    shake = np.random.default_rng([LIBRARY_SEED, shot.seed, shot.frame or 0])
    left, top = (int(offset) for offset in shake.integers(0, _BURST_MARGIN, 2))
    flicker = shake.uniform(0.96, 1.04)
    return wide.crop((left, top, left + size[0], top + size[1])).point(
        [min(255, round(v * flicker)) for v in range(256)] * 3
    )


def _extra_truths(plan: Plan) -> tuple[ImageTruth, ...]:
    """Files as in a real library besides the photos: a duplicate, a screenshot, and two corrupt files."""
    source = _duplicated(plan)
    blank_at, cut_at = datetime(2023, 7, 14, 18, 30, tzinfo=UTC), datetime(2024, 9, 14, 4, 0, tzinfo=UTC)
    return (
        source.model_copy(
            update={"kind": ImageKind.DUPLICATE, "path": DUPLICATE_PATH.format(Path(source.path).name)}
        ),
        _loose(
            SCREENSHOT_PATH,
            ImageKind.SCREENSHOT,
            "a screenshot of a chat",
            datetime(2024, 6, 2, 8, 15, 44, tzinfo=UTC),
        ),
        _loose(BLANK_PATH, ImageKind.CORRUPT, "a file of zeros", blank_at),
        _loose(CUT_PATH, ImageKind.CORRUPT, "a JPEG cut off in its header", cut_at),
    )


def _loose(path: str, kind: ImageKind, caption: str, taken_at: datetime) -> ImageTruth:
    return ImageTruth(
        path=path,
        kind=kind,
        event=None,
        scene=None,
        caption=caption,
        taken_at=taken_at,
        latitude=None,
        longitude=None,
        camera=None,
    )


def _duplicated(plan: Plan) -> ImageTruth:
    """The photo with a copy in the backup: the first photo by the phone."""
    return next(shot.truth for shot in plan.shots if shot.camera is PHONE)


def _write_extras(photos: Path, plan: Plan, extras: tuple[ImageTruth, ...]) -> None:
    duplicate, screenshot, blank, cut = (photos / extra.path for extra in extras)
    original = (photos / _duplicated(plan).path).read_bytes()
    duplicate.write_bytes(original)
    screenshot.write_bytes(_screenshot())
    blank.write_bytes(bytes(16_384))
    cut.write_bytes(original[:CUT_BYTES])


def _screenshot() -> bytes:
    """A chat on a phone's screen, as a PNG without EXIF."""
    picture = Image.new("RGB", (540, 960), (236, 229, 221))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(26)
    draw.rectangle((0, 0, 540, 96), fill=(18, 110, 98))
    draw.ellipse((24, 22, 76, 74), fill=(224, 178, 120))
    draw.text((96, 32), "Emma", fill=(255, 255, 255), font=font)
    messages = (
        "Are you coming on Saturday?",
        "Yes! Shall I bring the cake?",
        "Please do.",
        "Chocolate or lemon?",
        "Both :)",
        "See you at four.",
    )
    for row, message in enumerate(messages):
        mine = row % 2
        width, top = int(draw.textlength(message, font=font)) + 48, 150 + 118 * row
        left = 516 - width if mine else 24
        draw.rounded_rectangle(
            (left, top, left + width, top + 74), 22, fill=(212, 246, 200) if mine else (255, 255, 255)
        )
        draw.text((left + 24, top + 20), message, fill=(32, 36, 40), font=font)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def main(folder: Annotated[Path, typer.Argument(help="The folder for photos/ and truth.json.")]) -> None:
    """Draw the demo library."""
    with Progress() as progress:
        task = progress.add_task("Drawing")
        library = render_library(
            folder / "photos",
            folder / "truth.json",
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(f"{len(library.images)} files of {len(library.events)} events in {folder}")


if __name__ == "__main__":
    typer.run(main)
