"""Embedding a shard by one model, a checkpoint at a time, without doing anything twice."""

import io
import itertools
import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sqlalchemy import Connection, insert

from catalog.coverage import mark_embedded, settle_embedded
from catalog.leases import Lease
from catalog.models import FileKind, JobKind, ShardFile
from catalog.queries import (
    CommittedFile,
    EmbeddableImage,
    ShardRow,
    committed_files,
    embeddable_images,
    find_shard,
    materialized_version,
)
from pipeline.jobs import JobContext, StopRequest, running_job, with_heartbeats
from pipeline.lookahead import map_ahead
from pipeline.progress import OnProgress, Progress, ignore_progress
from pipeline.tree_walk import require_source
from resources.embedder import Embedder
from resources.embedding_store import EmbeddingFileHeader, EmbeddingStore
from resources.file_store import sweep_uncommitted
from resources.images import PREVIEW_SHORT_SIDE, content_hash, decode_upright
from resources.preview_store import PreviewReader, PreviewStore

if TYPE_CHECKING:
    import torch


class NotRegisteredError(LookupError):
    """A shard has to be registered before it can be embedded."""


class OriginalChangedError(Exception):
    """An original that a model has to read is not the one registered any more; nothing was embedded from it."""


_SCAN_AGAIN = (
    "Scan its source again (source_files), then register and embed its shard; what is committed stays."
)


@dataclass(slots=True)
class EmbeddingReport:
    """What one run did to a shard, in images; `total` is what the shard must have in the end."""

    total: int = 0
    resumed: int = 0
    embedded: int = 0
    checkpoints: int = 0
    bytes_written: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stores:
    """Where previews are read from and embeddings are written to."""

    previews: PreviewStore
    embeddings: EmbeddingStore


def partition_subject(model_key: str, shard_key: str) -> str:
    """The subject of an embedding job: the partition's key as Dagster writes it."""
    return f"{model_key}|{shard_key}"


def embed_shard(
    context: JobContext,
    stores: Stores,
    embedder: Embedder,
    model_id: int,
    shard_key: str,
    *,
    checkpoint_images: int,
    on_progress: OnProgress = ignore_progress,
) -> EmbeddingReport:
    """Embed the images of a shard that have no committed embedding of their present content.

    Raises NotRegisteredError, LeaseHeldError, InterruptedAtCheckpointError, StorageError, and, for an original
    that a large model has to read, SourceUnavailableError or OriginalChangedError.
    """
    started = time.monotonic()
    with context.engine.connect() as connection:
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
        with context.engine.connect() as connection:
            images = embeddable_images(connection, shard.id)
            committed = committed_files(connection, FileKind.EMBEDDING, shard_id=shard.id, model_id=model_id)
            preview_files = committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)
        directory = stores.embeddings.directory(embedder.key, shard_key)
        sweep_uncommitted(directory, {Path(file.path).name for file in committed})
        remaining = remaining_images(stores.embeddings, images, committed)
        report = EmbeddingReport(total=len(images), resumed=len(images) - len(remaining))
        on_progress = with_heartbeats(lease, context.lease_timeout, on_progress)
        lease.begin(total=report.total, resumed=report.resumed)
        lease.commit(partial(settle_embedded, model_id=model_id, images=images, remaining=remaining), done=0)
        on_progress(Progress(report.resumed, report.total, 0, report.resumed))
        if remaining:
            reader = stores.previews.open(file.path for file in preview_files)
            pixels = _preprocessed(embedder, shard, reader, remaining)
            work = _ShardEmbedding(lease, stores.embeddings, embedder, model_id, shard, report)
            with closing(pixels):
                work.embed(remaining, pixels, checkpoint_images, stop, on_progress)
    report.seconds = time.monotonic() - started
    return report


def remaining_images(
    embeddings: EmbeddingStore, images: Sequence[EmbeddableImage], committed: Sequence[CommittedFile]
) -> list[EmbeddableImage]:
    """The images without a committed embedding of their present content."""
    embedded = {
        identity
        for file in committed
        for identity in zip(
            *(column.to_pylist() for column in embeddings.read_identities(file.path).columns), strict=True
        )
    }
    return [image for image in images if (image.id, image.content_hash) not in embedded]


def _preprocessed(
    embedder: Embedder, shard: ShardRow, reader: PreviewReader, images: Iterable[EmbeddableImage]
) -> Generator["torch.Tensor", None, None]:
    needs_original = embedder.facts.image_size > PREVIEW_SHORT_SIDE

    def load(image: EmbeddableImage) -> "torch.Tensor":
        jpeg = None if needs_original else reader.jpeg(image.id, image.content_hash)
        return embedder.preprocess(
            _open_preview(jpeg) if jpeg is not None else _open_original(shard, image, embedder)
        )

    threads = os.cpu_count() or 1
    return map_ahead(load, images, threads=threads, ahead=2 * embedder.batch_images)


def _open_preview(jpeg: bytes) -> PillowImage.Image:
    return PillowImage.open(io.BytesIO(jpeg)).convert("RGB")


def _open_original(shard: ShardRow, image: EmbeddableImage, embedder: Embedder) -> PillowImage.Image:
    path = Path(shard.root, image.path)
    try:
        data = path.read_bytes()
    except OSError as error:
        require_source(Path(shard.root))
        raise OriginalChangedError(f"{path}: {error.strerror or error}. {_SCAN_AGAIN}") from error
    if content_hash(data) != image.content_hash:
        raise OriginalChangedError(f"{path}: has another content than the one registered. {_SCAN_AGAIN}")
    return decode_upright(data, short_side=embedder.facts.image_size)


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
        """Write the file, rename it, then commit its record: in this order."""
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
                    committed_at=datetime.now(UTC),
                )
            )
            mark_embedded(connection, self.model_id, images)

        self.lease.commit(record, done=len(images))
        self.report.embedded += len(images)
        self.report.checkpoints += 1
        self.report.bytes_written += size

    def embed(
        self,
        images: Sequence[EmbeddableImage],
        pixels: Iterator["torch.Tensor"],
        checkpoint_images: int,
        stop: StopRequest,
        on_progress: OnProgress,
    ) -> None:
        """Embed and commit the images a checkpoint at a time; `pixels` are theirs, in the same order."""
        report = self.report
        for start in range(0, len(images), checkpoint_images):
            checkpoint = images[start : start + checkpoint_images]
            vectors: list[NDArray[np.float32]] = []
            embedded = 0
            while embedded < len(checkpoint):
                size = min(self.embedder.batch_images, len(checkpoint) - embedded)
                vectors.append(self.embedder.encode_batch(list(itertools.islice(pixels, size))))
                embedded += size
                done = report.resumed + report.embedded + embedded
                on_progress(Progress(done, report.total, 0, report.resumed))
            self._commit(checkpoint, np.concatenate(vectors))
            stop.raise_if_asked(report.resumed + report.embedded, report.total)
