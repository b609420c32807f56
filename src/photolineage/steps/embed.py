"""Embedding a shard with one model, one checkpoint at a time, without repeating work."""

import itertools
import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from photolineage.catalog.coverage import mark_embedded, settle_embedded
from photolineage.catalog.engine import DATABASE_TIME, reading
from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import Image, Shard, ShardFile
from photolineage.catalog.queries import (
    CommittedFile,
    EmbeddableImage,
    ShardRow,
    committed_files,
    embeddable_images,
    find_shard,
    materialized_version,
)
from photolineage.catalog.vocabulary import FileKind, ImageState
from photolineage.errors import PhotolineageError
from photolineage.lineage import JobKind, partition_subject
from photolineage.models.embedder import Embedder, encoding_threads
from photolineage.plain_text import printable
from photolineage.steps.compact import FileSet, compact
from photolineage.steps.jobs import JobContext, StopRequest, running_job
from photolineage.steps.lookahead import map_ahead, until
from photolineage.steps.model_input import ModelInput, UnusableOriginal, UnusableOriginalsError, model_inputs
from photolineage.steps.progress import OnProgress, Progress, ignore_progress
from photolineage.steps.sweep import sweep_shard
from photolineage.stores.embeddings import EmbeddingFileHeader, EmbeddingStore, are_unit
from photolineage.stores.previews import PreviewStore

NAMED_IMAGES = 20


class NotRegisteredError(PhotolineageError):
    """A shard must be registered before it can be embedded."""


class UnusableEmbeddingsError(PhotolineageError):
    """A model returned vectors that are not finite or are zero; their images have no embedding."""

    def __init__(self, model_key: str, shard: ShardRow, images: Sequence[EmbeddableImage]) -> None:
        named = ", ".join(printable(Path(shard.root, image.path)) for image in images[:NAMED_IMAGES])
        more = ", …" if len(images) > NAMED_IMAGES else ""
        super().__init__(
            f"shard {shard.key!r}: {len(images)} images were not embedded, because {model_key} returns vectors for "
            f"them that are not finite or are zero: {named}{more}. All other images are embedded. Trying again would "
            "not help. Exclude these images from their source (exclude), or configure the model under a new key, with "
            "precision = 'float32' or other weights."
        )


@dataclass(slots=True)
class EmbeddingReport:
    """What one run did to a shard, in images. `total`: the number of images that need an embedding.

    `lost_files`: files of earlier runs that are now missing or damaged. `compacted`: files that were replaced by one
    file with their current rows.
    """

    total: int = 0
    resumed: int = 0
    embedded: int = 0
    checkpoints: int = 0
    compacted: int = 0
    bytes_written: int = 0
    lost_files: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckpointLimit:
    """A checkpoint ends after so many images or seconds, whichever comes first."""

    images: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that previews are read from and embeddings are written to."""

    previews: PreviewStore
    embeddings: EmbeddingStore


def embed_shard(
    context: JobContext,
    stores: Stores,
    embedder: Embedder,
    model_id: int,
    shard_key: str,
    *,
    checkpoint_images: int,
    checkpoint_seconds: float,
    on_progress: OnProgress = ignore_progress,
) -> EmbeddingReport:
    """Embed the images of a shard that have no committed embedding of their current content.

    If a committed file is lost, its images are embedded again, and its record is deleted. Raises NotRegisteredError,
    LeaseHeldError, InterruptedAtCheckpointError, StorageError and SourceUnavailableError. After committing everything
    else, raises UnusableOriginalsError if originals that had to be read are missing or have changed, or else
    UnusableEmbeddingsError.
    """
    started = time.monotonic()
    with reading(context.engine) as connection:
        shard = find_shard(connection, shard_key)
        registered = materialized_version(connection, JobKind.REGISTER, shard_key)
    if registered is None:
        raise NotRegisteredError(
            f"shard {shard_key!r}: its images are not registered. Materialize registered_images for it first."
        )
    subject = partition_subject(embedder.key, shard_key)
    with (
        StopRequest() as stop,
        running_job(context, JobKind.EMBED, subject, input_version=registered) as lease,
    ):
        with reading(context.engine) as connection:
            images = embeddable_images(connection, shard.id)
            members = set(connection.execute(select(Image.id).where(Image.shard_id == shard.id)).scalars())
            committed = committed_files(connection, FileKind.EMBEDDING, shard_id=shard.id, model_id=model_id)
            preview_files = committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)
        files = FileSet(FileKind.EMBEDDING, shard.id, model_id)
        sweep_shard(lease, files, stores.embeddings.files, stores.embeddings.folder(embedder.key, shard_key))
        header = EmbeddingFileHeader(embedder.key, embedder.facts.weights_digest, shard_key)
        whole = [
            file
            for file in committed
            if stores.embeddings.is_sound(file, header, embedder.facts.embedding_dim, members)
        ]
        remaining = remaining_images(stores.embeddings, images, whole)
        report = EmbeddingReport(total=len(images), resumed=len(images) - len(remaining))
        lease.begin(total=report.total, resumed=report.resumed)
        lease.commit(partial(settle_embedded, model_id=model_id, images=images, remaining=remaining), done=0)
        on_progress(Progress(report.resumed, report.total, 0, report.resumed))
        if remaining:
            reader = stores.previews.open(
                file.path for file in preview_files if stores.previews.is_sound(file.path, file.size_bytes)
            )
            work = _ShardEmbedding(lease, stores.embeddings, embedder, model_id, shard, report)
            limit = CheckpointLimit(checkpoint_images, checkpoint_seconds)
            with closing(model_inputs(embedder, shard, reader, remaining)) as inputs:
                work.embed(inputs, len(remaining), limit, stop, on_progress)
        lost = [file for file in committed if file not in whole]
        _tidy_up(lease, stores.embeddings, embedder, shard, files, lost, report, checkpoint_images)
    report.seconds = time.monotonic() - started
    return report


def remaining_images(
    embeddings: EmbeddingStore, images: Sequence[EmbeddableImage], committed: Sequence[CommittedFile]
) -> list[EmbeddableImage]:
    """The images without a committed embedding of their current content."""
    embedded = {
        identity
        for file in committed
        for identity in zip(
            *(column.to_pylist() for column in embeddings.read_identities(file.path).columns), strict=True
        )
    }
    return [image for image in images if (image.id, image.content_hash) not in embedded]


def _tidy_up(
    lease: Lease,
    embeddings: EmbeddingStore,
    embedder: Embedder,
    shard: ShardRow,
    files: FileSet,
    lost: Sequence[CommittedFile],
    report: EmbeddingReport,
    checkpoint_images: int,
) -> None:
    """Delete the records of lost files, and compact the other files if that is due."""
    if lost:
        # Only after their images are embedded again: these rows mark the partition as stale.
        ids = [file.id for file in lost]
        lease.commit(
            lambda connection: connection.execute(delete(ShardFile).where(ShardFile.id.in_(ids))), done=0
        )
        report.lost_files = len(lost)
    header = EmbeddingFileHeader(embedder.key, embedder.facts.weights_digest, shard.key)
    name = f"{lease.job_id:08d}-compacted"
    report.compacted = compact(
        lease,
        files,
        embeddings.read_identities,
        lambda rows: embeddings.rewrite(header, name, rows),
        rows_per_file=checkpoint_images,
    )


def even_batches(images: int, most: int, threads: int) -> list[int]:
    """Sizes of batches of at most `most` images, the same number for each thread, so that all end at about one time."""
    rounds = math.ceil(images / (most * threads))
    smaller, larger = divmod(images, rounds * threads)
    return [smaller + 1] * larger + [smaller] * (rounds * threads - larger if smaller else 0)


@dataclass(frozen=True, slots=True)
class _Batch:
    """One forward pass: the images, their unit vectors (n, dim), and the images without a vector.

    `unusable`: images whose pixels could not be read. `without_vector`: images without a unit vector from the model.
    """

    images: list[EmbeddableImage]
    vectors: NDArray[np.float32]
    unusable: list[tuple[EmbeddableImage, UnusableOriginal]]
    without_vector: list[EmbeddableImage]


@dataclass(frozen=True, slots=True)
class _ShardEmbedding:
    """One run's work on one partition."""

    lease: Lease
    embeddings: EmbeddingStore
    embedder: Embedder
    model_id: int
    shard: ShardRow
    report: EmbeddingReport

    def _commit(self, images: Sequence[EmbeddableImage], vectors: NDArray[np.float32]) -> None:
        """Write the file, rename it, then commit its record, in this order."""
        header = EmbeddingFileHeader(self.embedder.key, self.embedder.facts.weights_digest, self.shard.key)
        path, size = self.embeddings.write(
            header,
            f"{self.lease.job_id:08d}-{self.report.checkpoints:04d}",
            [image.id for image in images],
            [image.content_hash for image in images],
            vectors,
        )

        def record(connection: Connection) -> None:
            connection.execute(
                insert(ShardFile).values(
                    kind=FileKind.EMBEDDING,
                    shard_id=self.shard.id,
                    model_id=self.model_id,
                    job_id=self.lease.job_id,
                    path=path,
                    row_count=len(images),
                    size_bytes=size,
                    committed_at=DATABASE_TIME,
                )
            )
            mark_embedded(connection, self.model_id, images)

        self.lease.commit(record, done=len(images))
        self.report.embedded += len(images)
        self.report.checkpoints += 1
        self.report.bytes_written += size

    def embed(
        self,
        inputs: Iterator[ModelInput],
        left: int,
        limit: CheckpointLimit,
        stop: StopRequest,
        on_progress: OnProgress,
    ) -> None:
        """Embed and commit the `left` images in checkpoints.

        Raises UnusableOriginalsError, or else UnusableEmbeddingsError, after all other images are committed.
        """
        report = self.report
        unusable: list[tuple[EmbeddableImage, UnusableOriginal]] = []
        without_vector: list[EmbeddableImage] = []
        with encoding_threads(self.embedder.device) as threads:
            while left:
                images: list[EmbeddableImage] = []
                vectors: list[NDArray[np.float32]] = []
                size = min(limit.images, left)
                with closing(self._encoded(inputs, size, limit.seconds, threads)) as batches:
                    for batch in batches:
                        images += batch.images
                        vectors.append(batch.vectors)
                        unusable += batch.unusable
                        without_vector += batch.without_vector
                        left -= len(batch.images) + len(batch.unusable) + len(batch.without_vector)
                        done = report.resumed + report.embedded + len(images)
                        failed = len(unusable) + len(without_vector)
                        on_progress(Progress(done, report.total, failed, report.resumed))
                if images:
                    self._commit(images, np.concatenate(vectors))
                stop.raise_if_asked(report.resumed + report.embedded, report.total)
        if unusable:
            self._let_be_read_again([image for image, _ in unusable])
            raise UnusableOriginalsError(self.shard, unusable)
        if without_vector:
            raise UnusableEmbeddingsError(self.embedder.key, self.shard, without_vector)

    def _let_be_read_again(self, images: Sequence[EmbeddableImage]) -> None:
        """Mark images as outdated, so that registering reads them again, even if a scan sees no change."""

        def forget(connection: Connection) -> None:
            connection.execute(
                update(Image)
                .where(
                    Image.id == bindparam("image"),
                    Image.content_hash == bindparam("content"),
                    Image.state == ImageState.REGISTERED,
                )
                .values(state=ImageState.DISCOVERED),
                [{"image": image.id, "content": image.content_hash} for image in images],
            )
            connection.execute(
                update(Shard).where(Shard.id == self.shard.id).values(revision=Shard.revision + 1)
            )

        self.lease.commit(forget, done=0)

    def _encoded(
        self, inputs: Iterator[ModelInput], size: int, seconds: float, threads: int
    ) -> Generator[_Batch, None, None]:
        """The next `size` images in batches, in order; fewer if so many seconds have passed.

        The next checkpoint is not encoded before this one's commit.
        """
        counts = until(
            time.monotonic() + seconds, iter(even_batches(size, self.embedder.batch_images, threads))
        )
        batches = (list(itertools.islice(inputs, count)) for count in counts)
        return map_ahead(self._encode, batches, threads=threads, ahead=threads + 1)

    def _encode(self, inputs: Sequence[ModelInput]) -> _Batch:
        usable = [(image, pixels) for image, pixels in inputs if not isinstance(pixels, Exception)]
        images = [image for image, _ in usable]
        vectors = self.embedder.encode_batch([pixels for _, pixels in usable])
        sound = are_unit(vectors)
        return _Batch(
            list(itertools.compress(images, sound)),
            vectors[sound],
            [(image, error) for image, error in inputs if isinstance(error, Exception)],
            list(itertools.compress(images, ~sound)),
        )
