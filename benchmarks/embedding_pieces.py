"""Measures the cost of each part of embedding an image on one core, and of alternatives that are not used.

`python -m benchmarks.embedding_pieces --json`. The figures are milliseconds of processor time per image on one thread,
the smallest of several rounds, so that other work on the machine adds little. The model is ViT-B-32 with random
weights, the photographs are 12-megapixel JPEGs.
"""

import copy
import io
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import open_clip
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.photographs import write_photographs
from photolineage.catalog.vocabulary import Precision
from photolineage.media import PREVIEW_SHORT_SIDE, decode_upright, read_original
from photolineage.models.image_transform import ImageTransform
from photolineage.models.openvino_encoder import OpenVinoImageEncoder, trace_image_half
from photolineage.stores.pictures import open_preview

BATCH = 16


def pieces(photograph: Path) -> dict[str, tuple[Callable[[], object], int]]:
    """By name: the work, and its number of images."""
    data, preview = photograph.read_bytes(), read_original(photograph).preview
    model, _, transform = open_clip.create_model_and_transforms("ViT-B-32")
    eager = model.visual.eval()
    channels_last = copy.deepcopy(eager).to(memory_format=torch.channels_last)
    bfloat16 = copy.deepcopy(eager).bfloat16()
    ours = ImageTransform(transform)
    graph = trace_image_half(model.eval(), (224, 224))
    with_openvino = {
        f"forward, {precision}, OpenVINO": OpenVinoImageEncoder(graph, ours, precision)
        for precision in (Precision.FLOAT32, Precision.BFLOAT16, Precision.INT8)
    }
    picture = open_preview(preview)
    seen = torch.stack([ours.of_image(picture)] * BATCH)
    pixels = ours.normalize(seen)
    return {
        "original, full size (Pillow)": (lambda: Image.open(io.BytesIO(data)).convert("RGB"), 1),
        "original, scaled": (lambda: decode_upright(data, short_side=PREVIEW_SHORT_SIDE), 1),
        "original, registered (hash, EXIF, preview)": (lambda: read_original(photograph), 1),
        "preview": (lambda: open_preview(preview), 1),
        "transform of open_clip": (lambda: transform(picture), 1),
        "transform, geometry in 8 bits": (lambda: ours.of_image(picture), 1),
        "transform, normalization per batch": (lambda: ours.normalize(seen), BATCH),
        "forward, float32": (lambda: eager(pixels), BATCH),
        "forward, float32, channels last": (
            lambda: channels_last(pixels.to(memory_format=torch.channels_last)),
            BATCH,
        ),
        "forward, bfloat16": (lambda: bfloat16(pixels.bfloat16()), BATCH),
        **{name: (partial(encoder.encode, seen.numpy()), BATCH) for name, encoder in with_openvino.items()},
    }


def milliseconds(work: Callable[[], object], images: int, seconds: float) -> float:
    """Processor time per image, from calls that take at least `seconds` in total."""
    calls, started = 0, time.process_time()
    while time.process_time() - started < seconds:
        work()
        calls += 1
    return 1000 * (time.process_time() - started) / calls / images


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(help="The least processor time of each part per round.")] = 0.3,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure each part on one thread."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder, torch.inference_mode():
        (photograph,) = write_photographs(Path(folder) / "photos", 1)
        measured: dict[str, list[float]] = {}
        work = pieces(photograph)
        for _ in range(rounds):
            for name, (piece, images) in work.items():
                measured.setdefault(name, []).append(milliseconds(piece, images, seconds))
    figures = {name: round(min(values), 2) for name, values in measured.items()}
    if as_json:
        print(json.dumps({"core_ms_per_image": figures}, indent=2))
        return
    table = Table("part", "core-ms per image")
    for name, value in figures.items():
        table.add_row(name, f"{value:.1f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
