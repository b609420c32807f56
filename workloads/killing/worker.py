"""Workers that bring a library up to date: `python -m workloads.killing.worker`.

Each line on standard input is a JSON object: `config`, `log`, `death` (a step and a count, or null) and `file_bytes`
(the size limit of a file, or null). For each line, a new process migrates, scans, registers, embeds with the first
model and indexes. Its process id and, after its end, its exit status are written to standard output. The processes are
forked from one that has already loaded torch, which takes seconds.

The log has a line `read <path>` for every original that was read, `encoded <count>` for every batch that the model
computed, `embedded <image id> <content hash>` before each embedding is written, and `step <name>` before each step.
Each line is written before its image is committed, so a kill loses no line of committed work. `error <message>` is the
error with which a worker ended.
"""

import json
import os
import resource
import sys
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from photolineage.catalog.migrate import upgrade
from photolineage.catalog.queries import shard_keys
from photolineage.lineage import JobKind
from photolineage.models.embedder import load_embedder
from photolineage.models.registry import record_model
from photolineage.settings import Settings, load_settings
from photolineage.steps.embed import Stores, embed_shard
from photolineage.steps.index import build_index
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.register import register_shard
from photolineage.steps.scan import ensure_source, scan_source, walk_of
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.previews import PreviewStore
from photolineage.stores.vector_index import VectorIndexes
from workloads.killing.steps import (
    Announcer,
    Death,
    announce_index_writes,
    announce_migration,
    announce_steps,
)


def bring_up_to_date(settings: Settings, announcer: Announcer) -> None:
    """Run all steps of the lineage for one model, in order."""
    engine = settings.catalog.open_engine()
    announced = announce_migration(announcer, engine)
    upgrade(engine)
    announced()
    announce_steps(announcer)
    context = JobContext(engine, f"process-{os.getpid()}", timedelta(seconds=settings.lease_timeout_seconds))
    for source in settings.sources:
        _scan(context, settings, source)
    for shard in _shards(engine):
        register_shard(
            context,
            PreviewStore(open_files(settings)),
            shard,
            time_zone="UTC",
            checkpoint_images=settings.checkpoint_images,
        )
    model = next(iter(settings.models))
    _embed(context, settings, model)
    announce_index_writes(announcer)
    build_index(context, EmbeddingStore(open_files(settings)), VectorIndexes(settings.home), model)


def _shards(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return shard_keys(connection)


def _scan(context: JobContext, settings: Settings, key: str) -> None:
    source = settings.sources[key]
    source_id = ensure_source(context.engine, key, source.root)
    with running_job(context, JobKind.SCAN, key, input_version="") as lease:
        walk = walk_of(source)
        scan_source(lease, source_id, walk, shard_capacity=settings.shard_capacity)


def _embed(context: JobContext, settings: Settings, model: str) -> None:
    embedder = load_embedder(model, settings.models[model])
    model_id = record_model(context.engine, model, settings.models[model], embedder.facts)
    stores = Stores(PreviewStore(open_files(settings)), EmbeddingStore(open_files(settings)))
    for shard in _shards(context.engine):
        embed_shard(context, stores, embedder, model_id, shard, checkpoint_images=settings.checkpoint_images)


def _fork(config: Path, log: Path, death: Death | None, file_bytes: int | None) -> int:
    """Fork a process that works. Returns its id."""
    pid = os.fork()
    if pid:
        return pid
    announcer = Announcer(log, death)
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
    try:
        bring_up_to_date(load_settings(config), announcer)
    except BaseException as error:  # noqa: BLE001 (the parent's code must not go on in this process)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        announcer.note(f"error {type(error).__name__}: {' '.join(str(error).split())}")
        os._exit(1)
    os._exit(0)


def main() -> None:
    import duckdb  # noqa: F401
    import open_clip  # noqa: F401 (loaded once for all workers)

    for line in sys.stdin:
        order = json.loads(line)
        death = Death(*order["death"]) if order["death"] else None
        pid = _fork(Path(order["config"]), Path(order["log"]), death, order["file_bytes"])
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
