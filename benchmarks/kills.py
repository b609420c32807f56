"""Kills workers and looks for lost or repeated work: `python -m benchmarks.kills --kills 200 --json`.

A worker scans, registers, embeds, indexes and verifies a library of drawn photos until SIGKILL ends it. Half of the
kills happen at a chosen step (in a migration; before and after the rename of a file, a commit, or a write to the index;
before a photo is read to verify it), half at any moment. Then another worker continues. Whenever a worker finishes, 30
photos change, and the sidecars of 30.

After each worker that finishes, every photo must have exactly one embedding of its current content, one row in the
index, the keywords of its sidecar and its place in a stack, and must be verified. The exit code is 1 if one does not,
or if a kill cost more than a checkpoint.
"""

import json
import random
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from photolineage.settings import load_settings
from workloads import REPOSITORY_ROOT
from workloads.killing.lives import KilledLibrary, KillReport
from workloads.killing.workers import Workers, nursery

PHOTOS = 200
EDITED = 20
CHECKPOINT = 10


def write_library(folder: Path) -> Path:
    """Draw photos of 96 × 72 pixels and configure a library of them. Returns the configuration file."""
    photos = folder / "photos/changing"
    photos.mkdir(parents=True)
    for number in range(PHOTOS):
        blocks = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        drawn = Image.fromarray(blocks).resize((96, 72), Image.Resampling.NEAREST)
        drawn.save(photos / f"{number:03}.jpg", "JPEG", quality=90)
        if number < EDITED:
            drawn.point(lambda level: level // 2 + 64).save(photos / f"{number:03}-edited.jpg", "JPEG")
    config = folder / "photolineage.toml"
    model = REPOSITORY_ROOT / "src/photolineage/demo/models/demo-clip-v1"
    config.write_text(
        f"home = 'home'\nshard_capacity = 60\ncheckpoint_images = {CHECKPOINT}\n"
        f"[sources.photos]\nroot = 'photos'\n[models.demo]\narchitecture = 'local-dir:{model}'\n"
    )
    return config


def measure(folder: Path, kills: int, seed: int) -> KillReport:
    """Kill workers of a new library in `folder`."""
    settings = load_settings(write_library(folder))
    engine = settings.catalog.open_engine()
    with nursery() as process:
        workers = Workers(settings, engine, folder / "log", process, verifies=True)
        report = KilledLibrary(workers, random.Random(seed)).kill(kills)
    engine.dispose()
    return report


def main(
    kills: Annotated[int, typer.Option(min=1, help="How many workers to kill.")] = 200,
    seed: int = 0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Kill workers, and count what was lost, duplicated or done again."""
    with tempfile.TemporaryDirectory(prefix="photolineage-kills-") as folder:
        report = measure(Path(folder), kills, seed)
    if as_json:
        print(json.dumps(asdict(report) | {"died_at": dict(report.died_at)}, indent=2))
    else:
        print(
            f"{report.kills} kills: {report.lost} images lost, {report.duplicates} duplicated. One kill cost at most "
            f"{report.recomputed_max} embeddings, {report.reread_max} reads and {report.reverified_max} verified "
            f"photos (checkpoint: {CHECKPOINT} images). {report.misread} images with wrong keywords or stacks, "
            f"{report.unverified} not verified"
        )
    wrong = report.lost + report.duplicates + report.misread + report.unverified
    raise typer.Exit(bool(wrong or max(report.recomputed_max, report.reverified_max) > CHECKPOINT))


if __name__ == "__main__":
    typer.run(main)
