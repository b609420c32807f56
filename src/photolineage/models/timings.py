"""What was measured of a model on each machine, as the catalog stores it."""

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from photolineage.catalog.engine import DATABASE_TIME
from photolineage.catalog.orm import MlModel, MlModelTiming
from photolineage.catalog.vocabulary import Precision
from photolineage.models.ways import (
    Agreement,
    Backend,
    Timing,
    Way,
    available_device,
    fastest,
    unmeasured_way,
)

SLOWEST_BATCH_SECONDS: Final = 5.0
"""A batch takes at most about this long on one core, so that a slow model reaches its checkpoints in time."""


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, as far as it decides how fast a model is.

    `digest`: the same for machines of the same device, number of cores, instructions and versions of the libraries.
    `threads`: how many batches are computed at once.
    """

    digest: str
    name: str
    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class ModelTimings:
    """What was measured of a model on a machine. `precision`: of the model's embeddings."""

    model: str
    precision: Precision
    machine: str
    threads: int
    measured_at: datetime
    timings: tuple[Timing, ...]

    @property
    def way(self) -> Way:
        """How that machine computes the model: the fastest way in the precision of its embeddings, or in float32."""
        return fastest(self.timings, (self.precision,))

    def ways(self) -> list["MeasuredWay"]:
        """All ways; the one that the machine uses is marked."""
        return measured_ways(self.timings, self.threads, self.way)


@dataclass(frozen=True, slots=True)
class MeasuredWay:
    """One way of computing a model on one machine, to be shown.

    `milliseconds` per image: of one core on a processor, of the whole device on a GPU. `cosine`, `neighbors`: the
    agreement with float32. `problem`: why this way is not used, whatever its speed.
    """

    precision: Precision
    backend: Backend
    images_per_second: float | None
    milliseconds: float | None
    cosine: float | None
    neighbors: float | None
    is_used: bool
    problem: str | None


def measured_ways(timings: Sequence[Timing], threads: int, used: Way) -> list[MeasuredWay]:
    """What was measured on a machine that computes so many batches at once and uses this way."""
    return [_measured_way(timing, threads, timing.way == used) for timing in timings]


def _measured_way(timing: Timing, threads: int, is_used: bool) -> MeasuredWay:
    time, agreed = timing.milliseconds, timing.agreement
    return MeasuredWay(
        timing.way.precision,
        timing.way.backend,
        None if time is None else round(1000 * threads / time, 1),
        None if time is None else round(time, 2),
        None if agreed is None else round(agreed.cosine, 5),
        None if agreed is None else agreed.neighbors,
        is_used,
        _problem(timing),
    )


def _problem(timing: Timing) -> str | None:
    if timing.problem is not None or timing.agrees:
        return timing.problem
    return "far too slow" if timing.agreement is None else "does not agree with float32"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    import torch

    device = available_device()
    versions = {name: version(name) for name in ("torch", "openvino")}
    if device == "cuda":
        threads, name = 1, torch.cuda.get_device_name()
        described = name
        instructions: Any = torch.cuda.get_device_capability()
    else:
        threads, name = torch.get_num_threads(), _processor()
        described = f"{name}, {threads} core{'s' if threads > 1 else ''}"
        instructions = sorted(torch.cpu.get_capabilities().items())
    identity = json.dumps([device, name, threads, instructions, versions])
    return Machine(
        hashlib.sha256(identity.encode()).hexdigest()[:16],
        f"{described}, torch {versions['torch']}, OpenVINO {versions['openvino']}",
        device,
        threads,
    )


def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [
        value.strip()
        for name, _, value in (line.partition(":") for line in lines)
        if name[:10] == "model name"
    ]
    return names[0] if names else platform.processor() or platform.machine()


def find_timings(connection: Connection, model_id: int, machine: Machine) -> tuple[Timing, ...]:
    """What was measured of a model on this machine; empty if nothing was."""
    stored = connection.execute(
        select(MlModelTiming.timings).where(
            MlModelTiming.model_id == model_id, MlModelTiming.machine == machine.digest
        )
    ).scalar_one_or_none()
    return () if stored is None else _parsed(stored)


def record_timings(
    connection: Connection, model_id: int, machine: Machine, timings: Sequence[Timing], *, anew: bool = False
) -> None:
    """Store what was measured on this machine, within the caller's transaction. `anew`: in place of what is stored."""
    if not timings:
        return
    stored = (MlModelTiming.model_id == model_id, MlModelTiming.machine == machine.digest)
    if anew:
        connection.execute(delete(MlModelTiming).where(*stored))
    elif connection.execute(select(MlModelTiming.id).where(*stored)).first() is not None:
        return  # another process has measured at the same time
    connection.execute(
        insert(MlModelTiming).values(
            model_id=model_id,
            machine=machine.digest,
            machine_name=machine.name,
            threads=machine.threads,
            timings=json.dumps([asdict(timing) for timing in timings]),
            measured_at=DATABASE_TIME,
        )
    )


def list_timings(connection: Connection) -> list[ModelTimings]:
    """What was measured of every model on every machine, the newest last."""
    rows = connection.execute(
        select(
            MlModel.key,
            MlModel.precision,
            MlModelTiming.machine_name,
            MlModelTiming.threads,
            MlModelTiming.measured_at,
            MlModelTiming.timings,
        )
        .join(MlModel, MlModel.id == MlModelTiming.model_id)
        .order_by(MlModel.id, MlModelTiming.measured_at, MlModelTiming.id)
    )
    return [ModelTimings(*row[:5], _parsed(row.timings)) for row in rows]


def way_here(timings: Sequence[Timing], precision: Precision, machine: Machine) -> Way:
    """How this machine computes embeddings in a precision, by what was measured, if anything was."""
    return fastest(timings, (precision,)) if timings else unmeasured_way(precision, machine.device)


def largest_batch(timings: Sequence[Timing], way: Way) -> int:
    """How many images a batch may have, so that it takes at most about `SLOWEST_BATCH_SECONDS`."""
    slowest = max((t.milliseconds for t in timings if t.way == way and t.milliseconds is not None), default=0)
    return int(max(1, 1000 * SLOWEST_BATCH_SECONDS / slowest)) if slowest else sys.maxsize


def _parsed(stored: str) -> tuple[Timing, ...]:
    return tuple(_timing(**fields) for fields in json.loads(stored))


def _timing(
    way: dict[str, str],
    milliseconds: float | None,
    agreement: dict[str, Any] | None,
    problem: str | None,
) -> Timing:
    return Timing(
        Way(Precision(way["precision"]), Backend(way["backend"])),
        milliseconds,
        None if agreement is None else Agreement(**agreement),
        problem,
    )
