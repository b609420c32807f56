"""Workers that bring a library up to date: `python -m workloads.killing.worker`.

Each line on standard input is a JSON object: `config`, `log`, `models`, `verifies`, and, or null, `death` (a step and a
count), `file_bytes` (the size limit of a file), `fault` (the fields of a `Fault`) and `promoted` (a model). For each
line, a new process migrates, scans, materializes what is stale for the models, promotes one, and verifies all photos.
Its process id and, after its end, its exit status are written to standard output. The processes are forked from one
that has already loaded torch and the models, which takes seconds.

The log has a line `read <path>` for every original that was read, `encoded <count>` for every batch that the model
computed, `embedded <image id> <content hash>` before each embedding is written, and `step <name>` before each step.
Each line is written before its image is committed, so a kill loses no line of committed work. `error <message>` is the
error with which a worker ended.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from photolineage.catalog.migrate import upgrade
from photolineage.errors import PhotolineageError
from photolineage.settings import Settings, load_settings
from workloads.crash_states.interposer import Fault, Mode
from workloads.killing.steps import (
    Announcer,
    Death,
    announce_index_writes,
    announce_migration,
    announce_steps,
)
from workloads.upkeep import bring_up_to_date, load_ahead, promote_if_ready, verify_all

LOADED_AHEAD = ("alembic.command", "duckdb", "lance_namespace", "open_clip")
"""What all workers need. LanceDB starts threads when it is imported, so each worker imports it; `lance_namespace` is
the part of it that takes most of the time.
"""


def work(
    settings: Settings, announcer: Announcer, models: Sequence[str], promoted: str | None, *, verifies: bool
) -> None:
    """Migrate the catalog, run all steps of the lineage for these models, promote one, and verify all photos."""
    engine = settings.catalog.open_engine()
    announced = announce_migration(announcer, engine)
    upgrade(engine)
    announced()
    announce_steps(announcer)
    bring_up_to_date(settings, engine, models, before_index=cache(partial(announce_index_writes, announcer)))
    if promoted is not None:
        promote_if_ready(settings, engine, promoted)
    if verifies:
        verify_all(settings, engine)


def _fork(order: Mapping[str, Any]) -> int:
    """Fork a process that works. Returns its id."""
    pid = os.fork()
    if pid:
        return pid
    announcer = Announcer(Path(order["log"]), Death(*order["death"]) if order["death"] else None)
    if order["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"], resource.RLIM_INFINITY))
    try:
        if order["fault"] is not None:
            folder, log, mode, at = order["fault"]
            Fault(Path(folder), Path(log), Mode(mode), at).arm()
        settings = load_settings(Path(order["config"]))
        work(settings, announcer, order["models"], order["promoted"], verifies=order["verifies"])
    except BaseException as error:  # noqa: BLE001 (the parent's code must not go on in this process)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        announcer.note(f"error {type(error).__name__}: {' '.join(str(error).split())}")
        os._exit(1)
    os._exit(0)


def main() -> None:
    for module in LOADED_AHEAD:
        import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        with suppress(PhotolineageError):  # the worker reports it
            load_ahead(load_settings(Path(order["config"])))
        pid = _fork(order)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
