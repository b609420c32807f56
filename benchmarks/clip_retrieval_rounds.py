"""Runs clip-retrieval's reader, mapper and writer on a folder, in an environment of clip-retrieval.

`benchmarks.embedding` starts it as `VENV/bin/python clip_retrieval_rounds.py FOLDER OUTPUT MODEL BATCH WORKERS`. It
loads the model and prints `ready`. For each line on standard input it embeds the folder and prints the number of images
and the seconds. It imports nothing from Photolineage. `MODEL` is clip-retrieval's name of a model, e.g.
open_clip:ViT-B-32/<file of weights>.
"""

import json
import os
import sys
import time
from typing import Any


class Silence:
    """Replaces clip-retrieval's logger, which samples the machine during the work."""

    def __init__(self, _partition: int) -> None: ...

    def start(self) -> None: ...

    def end(self) -> None: ...

    def __call__(self, _statistics: dict[str, Any]) -> None: ...


def main(folder: str, output: str, model: str, batch: int, workers: int) -> None:
    """Run one round for each line of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # clip-retrieval prints to standard output
    from all_clip import load_clip  # type: ignore[import-not-found]
    from clip_retrieval.clip_inference.mapper import ClipMapper  # type: ignore[import-not-found]
    from clip_retrieval.clip_inference.reader import FilesReader  # type: ignore[import-not-found]
    from clip_retrieval.clip_inference.runner import Runner  # type: ignore[import-not-found]
    from clip_retrieval.clip_inference.writer import NumpyWriter  # type: ignore[import-not-found]

    _, preprocess, tokenizer = load_clip(clip_model=model, use_jit=False, warmup_batch_size=batch)
    mapper = ClipMapper(True, False, False, False, model, False, "", warmup_batch_size=batch)
    runner = Runner(
        lambda sampler: FilesReader(
            sampler, preprocess, tokenizer, folder, batch, workers, enable_text=False, enable_image=True
        ),
        lambda: mapper,
        lambda partition: NumpyWriter(partition, output, False, True, False, 1),
        Silence,
        1,
    )
    images = len(os.listdir(folder))
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        runner(0)
        print(json.dumps([images, time.perf_counter() - started]), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:6]))  # type: ignore[arg-type]
