"""Finding the stale partitions: those whose inputs have changed since their newest successful job."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from photolineage.catalog.engine import database_time
from photolineage.catalog.orm import Shard, Source
from photolineage.catalog.queries import (
    materialized_version,
    materialized_versions,
    newest_file_ids,
    shard_keys,
    shard_revisions,
)
from photolineage.catalog.vocabulary import FileKind
from photolineage.lineage import AUTOMATIC_STEPS, IMAGE_EMBEDDINGS, JobKind, Step, partition_subject


@dataclass(frozen=True, slots=True)
class LostFiles:
    """Recorded files that are missing from the disk, by subject: shards, models and shards, models.

    Each subject has an id that differs from one loss to the next: the id of its newest missing file, or of the job that
    built the missing index.
    """

    previews: Mapping[str, int] = field(default_factory=dict)
    embeddings: Mapping[str, int] = field(default_factory=dict)
    indexes: Mapping[str, int] = field(default_factory=dict)


NOTHING_LOST = LostFiles()


@dataclass(frozen=True, slots=True)
class StaleSubject:
    """A partition to materialize, and the current version of its inputs.

    If the partition failed before `retry_before`, it should be tried again: its source (for a model: any source) was
    scanned since, or, for a scan, the next scan is due.
    """

    subject: str
    version: str
    retry_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class StaleWork:
    """The stale partitions, in the order of the lineage. A later step is listed only when its inputs are up to date."""

    sources: list[StaleSubject] = field(default_factory=list)
    shards: list[StaleSubject] = field(default_factory=list)
    embeddings: list[StaleSubject] = field(default_factory=list)
    indexes: list[StaleSubject] = field(default_factory=list)
    events: list[StaleSubject] = field(default_factory=list)

    def by_step(self) -> Mapping[Step, list[StaleSubject]]:
        """The stale partitions by step, in the order of the lineage."""
        of = {
            JobKind.SCAN: self.sources,
            JobKind.REGISTER: self.shards,
            JobKind.EMBED: self.embeddings,
            JobKind.INDEX: self.indexes,
            JobKind.CLUSTER: self.events,
        }
        return {step: of[step.job] for step in AUTOMATIC_STEPS if step.job is not None}

    def count(self) -> int:
        """The number of partitions to materialize."""
        return sum(map(len, self.by_step().values()))


UNSCANNED_FOR = timedelta(days=2)
"""A source that nobody has scanned for so long is stale."""
RETIRED = "retired"
"""Prefix of a job's input version after its results were deleted. Such a job makes no partition up to date."""
FORGOTTEN = "forgotten"
"""The same after a source was forgotten, for its own partitions and for those that took over embeddings of copies."""
LOST = "lost"
"""Prefix of a job's input version after a repair found its files lost: the partition is due at once."""


def index_version(connection: Connection, model_key: str, shard_keys: Iterable[str]) -> str:
    """The version of a model's embeddings. It changes whenever a shard is embedded, for the first time or again."""
    embedded = materialized_versions(connection, JobKind.EMBED)
    return _index_version(connection, model_key, shard_keys, embedded)


def _index_version(
    connection: Connection, model_key: str, shard_keys: Iterable[str], embedded: Mapping[str, str]
) -> str:
    digest = hashlib.sha256()
    newest = newest_file_ids(connection, FileKind.EMBEDDING, model_key)
    for shard_key in sorted(shard_keys):
        version = embedded.get(partition_subject(model_key, shard_key))
        if version is not None:
            digest.update(f"{shard_key} {version} {newest.get(shard_key)}\n".encode())
    return digest.hexdigest()[:32]


def events_version(connection: Connection, model_key: str) -> str:
    """The version of a model's index, the input of event clustering."""
    return materialized_version(connection, JobKind.INDEX, model_key) or "-"


def find_stale_shards(connection: Connection, lost: LostFiles = NOTHING_LOST) -> list[StaleSubject]:
    """The shards whose current revision is not registered, or whose previews are lost."""
    registered = materialized_versions(connection, JobKind.REGISTER)
    return [
        StaleSubject(shard, _due_version(str(revision), registered.get(shard, ""), lost.previews.get(shard)))
        for shard, revision in shard_revisions(connection).items()
        if registered.get(shard) != str(revision) or shard in lost.previews
    ]


def find_stale_embeddings(
    connection: Connection, model_keys: Sequence[str], lost: LostFiles = NOTHING_LOST
) -> list[StaleSubject]:
    """The model and shard pairs whose registered revision is not embedded, or whose files are lost.

    Shards that are not registered yet are left out. `lost` comes from `find_lost_files`.
    """
    if not model_keys:
        return []
    revisions = shard_revisions(connection)
    registered = materialized_versions(connection, JobKind.REGISTER)
    embedded = materialized_versions(connection, JobKind.EMBED)
    stale = []
    for model in model_keys:
        for shard, revision in revisions.items():
            subject = partition_subject(model, shard)
            before = embedded.get(subject, "")
            if registered.get(shard) == str(revision) and (
                before != registered[shard] or subject in lost.embeddings
            ):
                stale.append(
                    StaleSubject(
                        subject, _due_version(registered[shard], before, lost.embeddings.get(subject))
                    )
                )
    return stale


def _due_version(version: str, before: str, lost: int | None) -> str:
    """The version to materialize, made different from an equal version whose results were retired or lost.

    The sensor starts each version once, and again only after a while.
    """
    if before.startswith((RETIRED, FORGOTTEN, LOST)):
        return f"{version}-{before}"
    return version if lost is None else f"{version}-lost-{lost}"


def find_stale_models(
    connection: Connection, model_keys: Sequence[str], kind: JobKind, lost: LostFiles = NOTHING_LOST
) -> list[StaleSubject]:
    """The models whose index or events are older than their inputs, or whose index is lost."""
    if not model_keys:
        return []
    shards = list(shard_revisions(connection))
    embedded = materialized_versions(connection, JobKind.EMBED)
    built = materialized_versions(connection, kind)
    stale = []
    for model in model_keys:
        if kind == JobKind.INDEX:
            version = _index_version(connection, model, shards, embedded)
        else:
            version = events_version(connection, model)
        lost_index = lost.indexes.get(model) if kind == JobKind.INDEX else None
        if (built.get(model) != version and version != "-") or lost_index is not None:
            stale.append(StaleSubject(model, _due_version(version, built.get(model, ""), lost_index)))
    return stale


def find_stale_partitions(
    connection: Connection, step: Step, model_keys: Sequence[str], lost: LostFiles = NOTHING_LOST
) -> list[StaleSubject]:
    """The stale partitions of one step. Raises ValueError for scans, which are due by the clock, and without jobs."""
    match step.job:
        case JobKind.REGISTER:
            return find_stale_shards(connection, lost)
        case JobKind.EMBED:
            return find_stale_embeddings(connection, model_keys, lost)
        case JobKind.INDEX | JobKind.CLUSTER:
            return find_stale_models(connection, model_keys, step.job, lost)
        case _:
            raise ValueError(f"{step.name}: the inputs of its partitions are not recorded")


def find_stale_work(
    connection: Connection,
    source_keys: Sequence[str],
    model_keys: Sequence[str],
    rescan_after: timedelta,
    lost: LostFiles = NOTHING_LOST,
) -> StaleWork:
    """All stale partitions. `source_keys` are the sources that can be read now.

    An index waits for the shards of these sources, and events wait for the index. Other sources are not read, and
    nothing waits for them.
    """
    there = set(shard_keys(connection, source_keys))
    embeddings = find_stale_embeddings(connection, model_keys, lost)
    work = StaleWork(
        sources=find_stale_sources(connection, source_keys, rescan_after),
        shards=[stale for stale in find_stale_shards(connection, lost) if stale.subject in there],
        embeddings=embeddings,
    )
    to_embed = [IMAGE_EMBEDDINGS.subject(stale.subject) for stale in embeddings]
    waiting = {subject.model for subject in to_embed if subject.shard in there}
    ready = [model for model in model_keys if not work.shards and model not in waiting]
    if shard_revisions(connection):
        work.indexes.extend(find_stale_models(connection, ready, JobKind.INDEX, lost))
    indexing = {stale.subject for stale in work.indexes}
    work.events.extend(
        find_stale_models(connection, [model for model in ready if model not in indexing], JobKind.CLUSTER)
    )
    scanned = _newest_scans(connection)
    for step, stale in work.by_step().items():
        if stale is not work.sources:
            stale[:] = [
                replace(one, retry_before=scanned.get(step.subject(one.subject).shard, scanned[None]))
                for one in stale
            ]
    return work


def _newest_scans(connection: Connection) -> Mapping[str | None, datetime | None]:
    """When the source of each shard was last scanned. Under None: when any source was."""
    rows = connection.execute(
        select(Shard.key, Source.scanned_at).join(Source, Source.id == Shard.source_id)
    ).all()
    newest = max((scanned_at for _, scanned_at in rows if scanned_at is not None), default=None)
    return {key: scanned_at for key, scanned_at in rows} | {None: newest}  # noqa: C416


def find_stale_sources(
    connection: Connection, source_keys: Sequence[str], rescan_after: timedelta
) -> list[StaleSubject]:
    """Those of the sources that were never scanned, or not for so long."""
    now = database_time(connection)
    scanned = {key: at for key, at in connection.execute(select(Source.key, Source.scanned_at))}  # noqa: C416
    return [
        StaleSubject(key, last.isoformat() if last else "first", now - rescan_after)
        for key in source_keys
        if (last := scanned.get(key)) is None or now - last >= rescan_after
    ]
