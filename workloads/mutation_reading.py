"""Reads damaged images and sidecars in processes that may crash or hang."""

import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media import PREVIEW_SHORT_SIDE, UnreadableImageError
from photolineage.media.decoding import DecodingTask
from photolineage.media.decoding_worker import decode_bytes
from photolineage.media.sidecars import read_sidecars
from photolineage.steps.sidecar_names import READ as BESIDE
from workloads import REPOSITORY_ROOT
from workloads.mutations import mutations, valid_images, valid_sidecars

BROKEN_SIDECAR = "broken sidecar"
SECONDS_AN_IMAGE = 20.0
SECONDS_TO_START = 120.0
MEMORY_BYTES = 3 << 30
"""The limit of address space. The libraries take about one gibibyte of it."""
_TASK = DecodingTask(PREVIEW_SHORT_SIDE, as_preview=True)
"""What registering does with a file. These processes do it themselves, so that a crash of a decoder shows."""


@dataclass(slots=True)
class MutationReport:
    """The outcomes of reading `count` damaged images and sidecars.

    `refused`: how many, by reason, or as broken sidecars. `errors`: unexpected exceptions. `peak_memory_mb`: the
    resident memory of the largest process.
    """

    count: int = 0
    decoded: int = 0
    truncated: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class _Reader:
    """A process that reads every `stride`-th mutation, beginning at `next_number`."""

    count: int
    seed: int
    stride: int
    next_number: int
    process: subprocess.Popen[bytes] = field(init=False)
    answered_at: float = field(init=False)

    def start(self) -> None:
        arguments = map(str, (self.count, self.seed, self.stride, self.next_number))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "workloads.mutation_reading", *arguments],
            cwd=REPOSITORY_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )  # fmt: skip
        self.answered_at = time.monotonic() + SECONDS_TO_START

    def skip(self) -> None:
        """Skip the image at which this process died or hung."""
        self.process.kill()
        self.process.wait()
        self.next_number += self.stride
        if self.next_number < self.count:
            self.start()


def read_mutations(count: int, *, seed: int = 0, processes: int | None = None) -> MutationReport:
    """Read `count` damaged images in worker processes. If one dies or hangs, a new one continues after its image."""
    report = MutationReport(count)
    started = time.monotonic()
    stride = min(processes or os.cpu_count() or 1, count)
    readers = [_Reader(count, seed, stride, number) for number in range(stride)]
    for reader in readers:
        reader.start()
    while working := [reader for reader in readers if reader.next_number < count]:
        for reader in _answering(working):
            assert reader.process.stdout is not None
            line = reader.process.stdout.readline().decode()
            if line:
                _count(report, reader, line)
            else:
                report.crashes.append(f"mutation {reader.next_number}: exit status {reader.process.wait()}")
                reader.skip()
        for reader in working:
            if time.monotonic() - reader.answered_at > SECONDS_AN_IMAGE:
                report.hangs.append(f"mutation {reader.next_number}")
                reader.skip()
    for reader in readers:
        reader.process.wait()
    report.seconds = time.monotonic() - started
    return report


def _answering(readers: list[_Reader]) -> Iterator[_Reader]:
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            assert reader.process.stdout is not None
            selector.register(reader.process.stdout, selectors.EVENT_READ, reader)
        for key, _events in selector.select(timeout=1.0):
            yield key.data


def _count(report: MutationReport, reader: _Reader, line: str) -> None:
    outcome, seconds, memory, detail = line.rstrip("\n").split("\t")
    if outcome == "error":
        report.errors.append(f"mutation {reader.next_number}: {detail}")
    elif outcome in {"decoded", "truncated"}:
        report.decoded += 1
        report.truncated += outcome == "truncated"
    else:
        report.refused[outcome] += 1
    report.slowest_seconds = max(report.slowest_seconds, float(seconds))
    report.peak_memory_mb = max(report.peak_memory_mb, float(memory))
    reader.next_number += reader.stride
    reader.answered_at = time.monotonic()


def _read(path: Path) -> tuple[str, str]:
    try:
        if path.suffix in BESIDE:
            ((_, found),) = read_sidecars(str(path.parent), [path.name])
            is_broken = any(one.field is WrittenField.PROBLEM for one in found)
            return (BROKEN_SIDECAR if is_broken else "decoded"), ""
        decoded = decode_bytes(path.read_bytes(), _TASK)
        return ("truncated" if decoded.lost_share is not None else "decoded"), ""
    except UnreadableImageError as error:
        return error.reason.value, ""
    except Exception as error:  # noqa: BLE001 (the purpose is to find any exception)
        return "error", " ".join(f"{path.name}: {type(error).__name__}: {error}".split())


def main(count: int, seed: int, stride: int, first: int) -> None:
    """Print one line per image: outcome, seconds, peak memory in MB, detail."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with tempfile.TemporaryDirectory(prefix="photolineage-mutations-") as folder:
        for number, (name, data) in enumerate(mutations(valid_images() | valid_sidecars(), count, seed=seed)):
            if number < first or (number - first) % stride:
                continue
            path = Path(folder, name)
            path.write_bytes(data)
            started = time.monotonic()
            outcome, detail = _read(path)
            seconds = time.monotonic() - started
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{outcome}\t{seconds:.4f}\t{memory:.1f}\t{detail}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
