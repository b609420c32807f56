"""The checks of embedding files, index and events: whether they match the catalog."""

from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, or_, select

from photolineage.catalog.orm import Event, EventImage, Image, MlJob, Shard, ShardFile
from photolineage.catalog.queries import (
    IS_EMBEDDABLE,
    SHOWN_ID,
    find_model,
    materialized_version,
    serving_model_key,
)
from photolineage.catalog.vocabulary import TIMES_OF_DAY, FileKind, ImageState, JobState
from photolineage.checks.store_contract import compare_arrow
from photolineage.contract.drift import Drift
from photolineage.lineage import JobKind, partition_subject
from photolineage.models.registry import require_model
from photolineage.settings.events import EventSettings
from photolineage.steps.freshness import events_version
from photolineage.stores.embeddings import (
    IDENTITY,
    EmbeddingFileHeader,
    EmbeddingStore,
    content_problems,
    embedding_schema,
)
from photolineage.stores.live_embeddings import find_live_embeddings
from photolineage.stores.root_folder import StorageError
from photolineage.stores.vector_index import REBUILD, VectorIndexes, index_schema


@dataclass(frozen=True, slots=True)
class StoreFindings:
    """How many files, rows or events were checked; other problems, each with its fix; drifts of the schema."""

    looked_at: int
    problems: tuple[str, ...] = ()
    drifts: tuple[Drift, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no problems were found."""
        return not self.problems and not self.drifts


def check_embedding_files(
    connection: Connection, store: EmbeddingStore, model_key: str, shard_key: str
) -> StoreFindings:
    """The committed files of one partition exist and match their commit records.

    Columns, types, dimension, digest of the weights and shard match; vectors are finite and of unit length; no image
    occurs twice in a file, or is of another shard; every image that the catalog counts as embedded is in a file.
    """
    model = find_model(connection, model_key)
    if model is None:
        return StoreFindings(0)
    files = connection.execute(
        select(ShardFile.path, ShardFile.row_count)
        .join(Shard, Shard.id == ShardFile.shard_id)
        .where(
            Shard.key == shard_key,
            ShardFile.model_id == model.id,
            ShardFile.kind == FileKind.EMBEDDING,
            ShardFile.superseded_at.is_(None),
        )
    ).all()
    header = EmbeddingFileHeader(model_key, model.weights_digest, shard_key)
    expected = embedding_schema(model.embedding_dim, header)
    rows = connection.execute(
        select(Image.id, Image.content_hash, Image.embedded_models, IS_EMBEDDABLE)
        .join(Shard, Shard.id == Image.shard_id)
        .where(Shard.key == shard_key)
    ).all()
    members = {row.id for row in rows}
    bit = model.embedded_bit
    counted = {(image_id, content) for image_id, content, models, must in rows if must and models & bit}
    remedy = f"Materialize `{partition_subject(model_key, shard_key)}` of image_embeddings again."
    problems: list[str] = []
    drifts: list[Drift] = []
    for path, row_count in files:
        try:
            drifts_of_file = compare_arrow(expected, store.read_schema(path), path, remedy)
            drifts += drifts_of_file
            if not drifts_of_file:
                table = store.read(path)
                counted -= set(zip(*(table[key].to_pylist() for key in IDENTITY), strict=True))
                problems += [
                    f"`{path}`: {problem}. {remedy}"
                    for problem in content_problems(table, row_count, members)
                ]
        except StorageError as error:
            problems.append(str(error))
    if counted and not problems and not drifts:
        problems.append(f"{len(counted)} images count as embedded, but no file contains them. {remedy}")
    return StoreFindings(len(files), tuple(problems), tuple(drifts))


def check_index_coverage(
    connection: Connection, store: EmbeddingStore, indexes: VectorIndexes, model_key: str
) -> StoreFindings:
    """Index rows = committed embeddings = distinct registered images, compared image by image."""
    import pyarrow.compute as pc

    model = require_model(connection, model_key)
    live = find_live_embeddings(connection, store, model.id, model.embedding_dim)
    index = indexes.open(model_key, model.embedding_dim)
    drifts = compare_arrow(
        index_schema(model.embedding_dim), index.describe().schema, f"index {model_key}", f"{REBUILD}."
    )
    if drifts:
        return StoreFindings(index.row_count(), drifts=tuple(drifts))
    rows = index.live_rows()
    problems = []
    if live.missing:
        problems.append(
            f"{live.missing} registered images have no embedding. Materialize the missing partitions of "
            f"image_embeddings for `{model_key}`."
        )
    keys = ["image_id", "embedding_file"]
    absent = live.rows.select(keys).join(rows.select(keys), keys, join_type="left anti")
    extra = rows.select(keys).join(live.rows.select(keys), keys, join_type="left anti")
    twice = len(rows) - len(pc.unique(rows["image_id"]))
    for count, what in (
        (len(absent), "embeddings are not in the index"),
        (len(extra), "rows of the index belong to removed images or replaced embeddings"),
        (twice, "rows of the index repeat an image"),
    ):
        if count:
            problems.append(f"{count} {what}. Materialize vector_index for `{model_key}`.")
    return StoreFindings(len(rows), tuple(problems))


def check_events(connection: Connection, model_key: str, settings: EventSettings) -> StoreFindings:
    """Every dated image is in an event, every member is registered, sizes are right, and no event is too long.

    The primary key of `event_image` ensures that an image is in at most one event of a model.
    """
    model = require_model(connection, model_key)
    remedy = f"Materialize image_events for `{model_key}`."
    events = connection.execute(
        select(
            Event.id,
            Event.title,
            Event.image_count,
            Event.starts_at,
            Event.ends_at,
            func.count(SHOWN_ID.distinct()),
        )
        .outerjoin(EventImage, EventImage.event_id == Event.id)
        .outerjoin(Image, Image.id == EventImage.image_id)
        .where(Event.model_id == model.id)
        .group_by(Event.id, Event.title, Event.image_count, Event.starts_at, Event.ends_at)
    ).all()
    problems = []
    for event_id, title, recorded, starts_at, ends_at, members in events:
        if recorded != members:
            problems.append(
                f"event {event_id} ({title}) records {recorded} images but contains {members}. {remedy}"
            )
        if not 0 <= (ends_at - starts_at).total_seconds() <= settings.max_event_days * 86_400:
            problems.append(
                f"event {event_id} ({title}) lasts {ends_at - starts_at}; "
                f"expected 0 to {settings.max_event_days:g} days (max_event_days). {remedy}"
            )
    for count, what in (
        (_unregistered_members(connection, model.id), "members of events are missing or unreadable images"),
        (_members_of_another_model(connection, model.id), "members belong to an event of another model"),
        (_dated_in_no_event(connection, model_key, model.id, settings), "dated images are in no event"),
    ):
        if count:
            problems.append(f"{count} {what}. {remedy}")
    return StoreFindings(len(events), tuple(problems))


def _unregistered_members(connection: Connection, model_id: int) -> int:
    return connection.execute(
        select(func.count())
        .select_from(EventImage)
        .join(Image, Image.id == EventImage.image_id)
        .where(EventImage.model_id == model_id, Image.state != ImageState.REGISTERED)
    ).scalar_one()


def _members_of_another_model(connection: Connection, model_id: int) -> int:
    return connection.execute(
        select(func.count())
        .select_from(EventImage)
        .join(Event, Event.id == EventImage.event_id)
        .where(EventImage.model_id == model_id, Event.model_id != model_id)
    ).scalar_one()


def _dated_in_no_event(connection: Connection, model_key: str, model_id: int, settings: EventSettings) -> int:
    """Counts only images that were registered before the newest clustering began; it could not see later ones.

    An image of which only the day, the month or the year is known need not be in an event.
    """
    clustered_at = (
        select(func.max(MlJob.started_at))
        .where(MlJob.kind == JobKind.CLUSTER, MlJob.subject == model_key, MlJob.state == JobState.SUCCEEDED)
        .scalar_subquery()
    )
    membership = exists().where(EventImage.image_id == Image.id, EventImage.model_id == model_id)
    return connection.execute(
        select(func.count())
        .select_from(Image)
        .where(
            Image.state == ImageState.REGISTERED,
            Image.registered_at <= clustered_at,
            Image.taken_at.is_not(None),
            Image.taken_at_source.in_(settings.trusted_time_sources),
            or_(Image.taken_at_precision.is_(None), Image.taken_at_precision.in_(TIMES_OF_DAY)),
            ~membership,
        )
    ).scalar_one()


def check_events_of_serving_model(connection: Connection) -> StoreFindings:
    """The events of the serving model were computed from its current index; no problem if no model serves."""
    model_key = serving_model_key(connection)
    if model_key is None:
        return StoreFindings(0)
    clustered = materialized_version(connection, JobKind.CLUSTER, model_key)
    if clustered == events_version(connection, model_key):
        return StoreFindings(1)
    state = "are older than its index" if clustered else "were never computed"
    return StoreFindings(
        1,
        (
            f"the events of the serving model `{model_key}` {state}. Materialize image_events for `{model_key}`.",
        ),
    )
