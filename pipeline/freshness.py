"""What has to be done next: the subjects whose newest success saw other inputs than there are now."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from catalog.models import JobKind, Source
from catalog.queries import materialized_version, materialized_versions, shard_revisions
from pipeline.embedding import partition_subject


@dataclass(frozen=True, slots=True)
class StaleSubject:
    """A partition to materialize, and the version of its inputs that it would see."""

    subject: str
    version: str


@dataclass(frozen=True, slots=True)
class StaleWork:
    """What is stale, in the order of the lineage; a later step is listed once the earlier ones are done."""

    sources: list[StaleSubject] = field(default_factory=list)
    shards: list[StaleSubject] = field(default_factory=list)
    embeddings: list[StaleSubject] = field(default_factory=list)
    indexes: list[StaleSubject] = field(default_factory=list)
    events: list[StaleSubject] = field(default_factory=list)

    def count(self) -> int:
        """How many partitions are to be materialized."""
        return sum(map(len, (self.sources, self.shards, self.embeddings, self.indexes, self.events)))


def index_version(connection: Connection, model_key: str, shard_keys: Iterable[str]) -> str:
    """The version of a model's embeddings: changes whenever one of its shards is embedded anew."""
    return _index_version(model_key, shard_keys, materialized_versions(connection, JobKind.EMBED))


def _index_version(model_key: str, shard_keys: Iterable[str], embedded: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for shard_key in sorted(shard_keys):
        version = embedded.get(partition_subject(model_key, shard_key), "-")
        digest.update(f"{shard_key} {version}\n".encode())
    return digest.hexdigest()[:32]


def events_version(connection: Connection, model_key: str) -> str:
    """The version of a model's index: what events are clustered from."""
    return materialized_version(connection, JobKind.INDEX, model_key) or "-"


def find_stale_shards(connection: Connection) -> list[StaleSubject]:
    """The shards whose present revision is not registered."""
    registered = materialized_versions(connection, JobKind.REGISTER)
    return [
        StaleSubject(shard, str(revision))
        for shard, revision in shard_revisions(connection).items()
        if registered.get(shard) != str(revision)
    ]


def find_stale_embeddings(connection: Connection, model_keys: Sequence[str]) -> list[StaleSubject]:
    """The model and shard pairs whose registered revision is not embedded; unregistered shards wait."""
    revisions = shard_revisions(connection)
    registered = materialized_versions(connection, JobKind.REGISTER)
    embedded = materialized_versions(connection, JobKind.EMBED)
    return [
        StaleSubject(subject, registered[shard])
        for model in model_keys
        for shard, revision in revisions.items()
        if registered.get(shard) == str(revision)
        and embedded.get(subject := partition_subject(model, shard)) != registered[shard]
    ]


def find_stale_models(connection: Connection, model_keys: Sequence[str], kind: JobKind) -> list[StaleSubject]:
    """The models whose index or events are older than what they are made from."""
    shards = list(shard_revisions(connection))
    embedded = materialized_versions(connection, JobKind.EMBED)
    built = materialized_versions(connection, kind)
    stale = []
    for model in model_keys:
        if kind == JobKind.INDEX:
            version = _index_version(model, shards, embedded)
        else:
            version = events_version(connection, model)
        if built.get(model) != version and version != "-":
            stale.append(StaleSubject(model, version))
    return stale


def find_stale_work(
    connection: Connection, source_keys: Sequence[str], model_keys: Sequence[str], rescan_after: timedelta
) -> StaleWork:
    """What has to be done next; an index waits for all shards of its model, and events for the index."""
    work = StaleWork(
        sources=_find_stale_sources(connection, source_keys, rescan_after),
        shards=find_stale_shards(connection),
        embeddings=find_stale_embeddings(connection, model_keys),
    )
    waiting = {stale.subject.split("|")[0] for stale in work.embeddings}
    ready = [model for model in model_keys if not work.shards and model not in waiting]
    if shard_revisions(connection):
        work.indexes.extend(find_stale_models(connection, ready, JobKind.INDEX))
    indexing = {stale.subject for stale in work.indexes}
    work.events.extend(
        find_stale_models(connection, [model for model in ready if model not in indexing], JobKind.CLUSTER)
    )
    return work


def _find_stale_sources(
    connection: Connection, source_keys: Sequence[str], rescan_after: timedelta
) -> list[StaleSubject]:
    now = datetime.now(UTC)
    scanned = {key: at for key, at in connection.execute(select(Source.key, Source.scanned_at))}  # noqa: C416
    return [
        StaleSubject(key, f"{int(now.timestamp() // rescan_after.total_seconds())}")
        for key in source_keys
        if (last := scanned.get(key)) is None or now - last >= rescan_after
    ]
