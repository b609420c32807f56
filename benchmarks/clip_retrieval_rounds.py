"""clip-retrieval's own reader, mapper and writer over a folder, again and again, in its own environment.

Run by `benchmarks.embedding` as `VENV/bin/python clip_retrieval_rounds.py FOLDER OUTPUT MODEL BATCH WORKERS`: loads the
model, prints `ready`, and for each line that it reads embeds the folder and prints the images and the seconds.
Imports nothing of Photolineage. `MODEL` is its own name of a model, such as open_clip:ViT-B-32/<file of weights>.
"""

import json
import os
import sys
import time
from typing import Any


class Silence:
    """In place of its logger, which samples the machine while it works."""

    def __init__(self, _partition: int) -> None: ...

    def start(self) -> None: ...

    def end(self) -> None: ...

    def __call__(self, _statistics: dict[str, Any]) -> None: ...


def main(folder: str, output: str, model: str, batch: int, workers: int) -> None:
    """Answer each line of standard input with one round."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # it prints as it goes
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
