"""Compares the images per second of Photolineage, a plain open_clip loop and clip-retrieval, in interleaved rounds.

Run `python -m benchmarks.embedding --json [--clip-retrieval VENV]` on an otherwise idle machine. The model has random
weights. The photographs are 12-megapixel JPEGs that the benchmark draws. Every rate is the median of the rounds; the
slowest and the fastest round show the machine's noise.

- `plain_loop`: what a script does. Pillow decodes, open_clip transforms, the model runs in float32, one after another.
- `first_embedding`: `embed_shard` from the originals to committed vectors, without previews.
- `register_and_embed`: both steps of a new shard, with hash, EXIF and previews: the whole cost of a new library.
- `re_embedding`: `embed_shard` from the previews to committed vectors: a new model for a registered library.
- `forward_only`: only the model, in the same precision, on transformed images: the faster of all cores on one batch and
  one batch per core.
- `clip_retrieval`: its reader, mapper and writer on the files and weights of the plain loop, in the environment VENV,
  which is made if it does not exist.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.embedding_library import new_library, write_random_model
from benchmarks.photographs import write_photographs
from photolineage.catalog.vocabulary import FileKind
from photolineage.media import decode_upright
from photolineage.models.embedder import Embedder, encoding_threads
from photolineage.models.ways import available_device
from photolineage.settings import ModelSettings

BATCH = 32
"""Images per batch in the plain loop and in clip-retrieval."""

Figures = dict[str, Any]
Round = Callable[[], tuple[int, float]]
"""Runs one round of one contestant. Returns the number of images and the seconds."""


def timed(work: Callable[[], int]) -> tuple[int, float]:
    """The return value of `work`, and the seconds that it took."""
    started = time.perf_counter()
    images = work()
    return images, time.perf_counter() - started


def plain_loop(settings: ModelSettings, files: Sequence[Path], device: str) -> Round:
    """Decode, transform and embed one image after another."""
    import open_clip
    import torch

    model, transform = open_clip.create_model_from_pretrained(settings.architecture, device=device)
    model.eval()

    def embed() -> int:
        for start in range(0, len(files), BATCH):
            batch = [transform(Image.open(file)) for file in files[start : start + BATCH]]
            with torch.inference_mode():
                model.encode_image(torch.stack(batch).to(device), normalize=True).cpu()
        return len(files)

    return lambda: timed(embed)


def forward_rounds(embedder: Embedder, files: Sequence[Path], images: int) -> dict[str, Round]:
    """Only the forward pass: all cores on one batch, and one batch per core as in `embed_shard`."""
    size = embedder.facts.image_size
    some = [embedder.transform.of_image(decode_upright(file.read_bytes(), short_side=size)) for file in files]
    batch = [some[number % len(some)] for number in range(embedder.batch_images)]
    batches = [batch] * -(-images // len(batch))

    def on_all_cores() -> int:
        for batch in batches:
            embedder.encode_batch(batch)
        return sum(map(len, batches))

    def a_batch_a_core() -> int:
        with encoding_threads(embedder.device) as threads, ThreadPoolExecutor(threads) as pool:
            return sum(map(len, pool.map(embedder.encode_batch, batches)))

    return {
        "forward_all_cores": lambda: timed(on_all_cores),
        "forward_batch_a_core": lambda: timed(a_batch_a_core),
    }


@contextmanager
def clip_retrieval(venv: Path, folder: Path, output: Path, model: str) -> Iterator[Round]:
    """clip-retrieval in a separate process, which loads its model once for all rounds."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "clip-retrieval==2.45.0", "setuptools<70"]
        subprocess.run(install, check=True)
    script = Path(__file__).with_name("clip_retrieval_rounds.py")
    workers = str(os.cpu_count() or 1)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        [python, "-P", script, folder, output, model, str(BATCH), workers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout
        if answers.readline() != "ready\n":
            raise RuntimeError(f"cannot start clip-retrieval in {venv}; see its output above")

        def embed() -> tuple[int, float]:
            questions.write("\n")
            questions.flush()
            images, seconds = json.loads(answers.readline())
            return images, seconds

        yield embed
        questions.close()


def measure(architecture: str, images: int, few: int, rounds: int, venv: Path | None) -> Figures:
    """All figures of one model: `few` images for the slow contestants, `images` for the others."""
    device = available_device()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        files = write_photographs(folder / "photos", images)
        (folder / "few").mkdir()
        for file in files[:few]:
            (folder / "few" / file.name).hardlink_to(file)
        settings = write_random_model(folder / "model", architecture)
        previews = stack.enter_context(new_library(folder / "previews", folder / "photos"))
        originals = stack.enter_context(new_library(folder / "originals", folder / "photos"))
        previews.register()
        originals.register()
        model = previews.load_model(settings)
        originals.load_model(settings)
        originals.forget(FileKind.PREVIEW)
        homes = (folder / f"new-{number}" for number in count())

        def register_and_embed() -> tuple[int, float]:
            with new_library(next(homes), folder / "photos") as library:
                images, seconds = timed(library.register)
                loaded = library.load_model(settings)
                return images, seconds + timed(lambda: library.embed(loaded))[1]

        def embed_again(library: Any) -> tuple[int, float]:
            library.forget(FileKind.EMBEDDING)
            return timed(lambda: library.embed(model))

        contestants: dict[str, Round] = {
            "plain_loop": plain_loop(settings, files[:few], device),
            "first_embedding": lambda: embed_again(originals),
            "register_and_embed": register_and_embed,
            "re_embedding": lambda: embed_again(previews),
            **forward_rounds(model.embedder, files[:BATCH], images),
        }
        if venv is not None:
            weights = folder / "model" / "open_clip_model.safetensors"
            named = f"open_clip:{architecture}/{weights}"
            contestants["clip_retrieval"] = stack.enter_context(
                clip_retrieval(venv.resolve(), folder / "few", folder / "clip-retrieval", named)
            )
        rates = interleaved(contestants, rounds)
        return {
            "model": architecture,
            "device": device,
            "cores": os.cpu_count(),
            "precision": model.precision,
            "backend": model.embedder.way.backend,
            "images": images,
            "batch_images": model.embedder.batch_images,
            **summary(rates),
        }


def interleaved(contestants: dict[str, Round], rounds: int) -> dict[str, list[float]]:
    """Images per second of every contestant in every round. Each round begins with a different contestant.

    A warm-up round is not counted.
    """
    names = list(contestants)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            images, seconds = contestants[name]()
            if number:
                rates[name].append(images / seconds)
            print(f"round {number}: {name} {images / seconds:.1f} images/s", file=sys.stderr, flush=True)
    return rates


def summary(rates: dict[str, list[float]]) -> Figures:
    """The median rates, the ratios of the medians, and the rates of all rounds from slowest to fastest."""
    rate = {name: statistics.median(values) for name, values in rates.items()}
    rate["forward_only"] = max(rate["forward_all_cores"], rate["forward_batch_a_core"])
    ratios = {
        "first_embedding_to_plain_loop": rate["first_embedding"] / rate["plain_loop"],
        "register_and_embed_to_plain_loop": rate["register_and_embed"] / rate["plain_loop"],
        "re_embedding_to_plain_loop": rate["re_embedding"] / rate["plain_loop"],
        "re_embedding_to_forward_only": rate["re_embedding"] / rate["forward_only"],
    }
    if "clip_retrieval" in rate:
        ratios["first_embedding_to_clip_retrieval"] = rate["first_embedding"] / rate["clip_retrieval"]
        ratios["re_embedding_to_clip_retrieval"] = rate["re_embedding"] / rate["clip_retrieval"]
    waits = {
        name: 1 - min(1.0, rate[name] / rate["forward_only"]) for name in ("first_embedding", "re_embedding")
    }
    return {
        **{name: round(value, 2) for name, value in rate.items()},
        "ratios": {name: round(value, 2) for name, value in ratios.items()},
        "share_of_time_that_the_device_waits": {name: round(value, 3) for name, value in waits.items()},
        "rounds": {name: [round(value, 2) for value in sorted(values)] for name, values in rates.items()},
    }


def main(
    model: Annotated[str, typer.Option(help="An open_clip architecture.")] = "ViT-B-32",
    images: Annotated[int, typer.Option(min=8, help="Photographs in the library.")] = 192,
    few: Annotated[int, typer.Option(min=8, help="Photographs for the plain loop and clip-retrieval.")] = 32,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    device: Annotated[str, typer.Option(help="cpu or cuda. By default the one that torch finds.")] = "",
    clip_retrieval: Annotated[
        Path | None, typer.Option(help="Its environment. Made if it does not exist.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure how fast photographs are embedded."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if device and available_device() != device:
        raise typer.BadParameter(f"--device {device}: torch finds only {available_device()} here")
    figures = measure(model, images, few, rounds, clip_retrieval)
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    table = Table("images/s", "median", "slowest", "fastest", title=f"{model}, {figures['precision']}")
    for name, values in figures["rounds"].items():
        table.add_row(name, *(f"{value:.1f}" for value in (figures[name], values[0], values[-1])))
    Console().print(table, figures["ratios"])


if __name__ == "__main__":
    typer.run(main)
