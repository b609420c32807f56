"""A small library of drawn photos, and the plain steps of the lineage over it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags
from PIL import Image as PillowImage
from sqlalchemy import Engine, Row, select

from photolineage.catalog.leases import Lease
from photolineage.catalog.orm import Image, MlJob, Shard
from photolineage.catalog.queries import find_model, find_shard, shard_keys
from photolineage.catalog.vocabulary import Precision
from photolineage.lineage import JobKind
from photolineage.models.embedder import Embedder, load_embedder
from photolineage.models.registry import record_model, require_model
from photolineage.settings import Settings
from photolineage.steps.embed import EmbeddingReport, Stores, embed_shard
from photolineage.steps.index import IndexingReport, build_index
from photolineage.steps.jobs import JobContext, running_job
from photolineage.steps.progress import OnProgress, ignore_progress
from photolineage.steps.register import RegistrationReport, register_shard
from photolineage.steps.scan import ScanReport, ensure_source, scan_source, walk_of
from photolineage.steps.verify import VerificationReport, verify_shard
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import Files, open_files
from photolineage.stores.live_embeddings import LiveEmbeddings, find_live_embeddings
from photolineage.stores.previews import PreviewStore
from photolineage.stores.vector_index import VectorIndexes

TINY_MODELS = {"tiny-a": 16, "tiny-b": 24}
"""The embedding dimension of each model that `write_tiny_model` is asked for."""


def draw_photo(path: Path, seed: int, *, taken_at: datetime | None = None) -> Path:
    """Draw a JPEG of 96 × 72 pixels that no other seed yields."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    exif = PillowImage.Exif()
    if taken_at is not None:
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        camera[ExifTags.Base.DateTimeOriginal] = f"{taken_at:%Y:%m:%d %H:%M:%S}"
        camera[ExifTags.Base.OffsetTimeOriginal] = "+00:00"
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(blocks).resize((96, 72), PillowImage.Resampling.NEAREST).save(
        path, "JPEG", quality=90, exif=exif
    )
    return path


def touch(path: Path, seconds_later: int = 10) -> None:
    """Give a file another modification time, as a camera or an editor would."""
    mtime = path.stat().st_mtime_ns + seconds_later * 10**9
    os.utime(path, ns=(mtime, mtime))


def rot(path: Path) -> None:
    """Flip a bit of a file; its size and time stay."""
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=times)


def flip_a_bit_of_column(path: Path, column: str) -> None:
    """Flip a bit of the last page of a column of a Parquet file, whose checksum tells."""
    import pyarrow.parquet as pq

    chunks = pq.ParquetFile(path).metadata.row_group(0)
    of_column = (chunks.column(number) for number in range(chunks.num_columns))
    chunk = next(chunk for chunk in of_column if chunk.path_in_schema.split(".")[0] == column)
    start = chunk.data_page_offset if chunk.dictionary_page_offset is None else chunk.dictionary_page_offset
    content = bytearray(path.read_bytes())
    content[start + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


def write_tiny_model(folder: Path, *, dim: int, seed: int, image_size: int = 64) -> Path:
    """A randomly initialised CLIP in open_clip's `local-dir:` format, of a few megabytes."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    config: dict[str, Any] = {
        "embed_dim": dim,
        "vision_cfg": {
            "image_size": image_size,
            "layers": 2,
            "width": 64,
            "patch_size": 16,
            "head_width": 32,
        },
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    preprocessing = {"mean": [0.5] * 3, "std": [0.25] * 3}
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing})
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = open_clip.CLIP(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@dataclass(frozen=True, slots=True)
class Library:
    """A configured library with a migrated catalog; its one source is `photos`."""

    settings: Settings
    engine: Engine
    source: str = "photos"

    @property
    def root(self) -> Path:
        return self.settings.sources[self.source].root

    @property
    def files(self) -> Files:
        return open_files(self.settings)

    @property
    def embeddings(self) -> EmbeddingStore:
        return EmbeddingStore(self.files)

    @property
    def previews(self) -> PreviewStore:
        return PreviewStore(self.files)

    @property
    def indexes(self) -> VectorIndexes:
        return VectorIndexes(self.settings.home)

    def context(self, run_id: str = "a-run") -> JobContext:
        timeout = timedelta(seconds=self.settings.lease_timeout_seconds)
        return JobContext(self.engine, run_id, timeout)

    @contextmanager
    def scanning(self) -> Iterator[tuple[Lease, int]]:
        """The lease of a scan of the source, and the source's id."""
        source_id = ensure_source(self.engine, self.source, self.root)
        with running_job(self.context(), JobKind.SCAN, self.source, input_version="") as lease:
            yield lease, source_id

    def scan(
        self, *, shard_capacity: int | None = None, on_progress: OnProgress = ignore_progress
    ) -> ScanReport:
        source = self.settings.sources[self.source]
        with self.scanning() as (lease, source_id):
            return scan_source(
                lease,
                source_id,
                walk_of(source),
                shard_capacity=shard_capacity or self.settings.shard_capacity,
                on_progress=on_progress,
            )

    def register(
        self, shard_key: str, *, run_id: str = "a-run", on_progress: OnProgress = ignore_progress
    ) -> RegistrationReport:
        return register_shard(
            self.context(run_id),
            self.previews,
            shard_key,
            time_zone="UTC",
            checkpoint_images=self.settings.checkpoint_images,
            checkpoint_seconds=self.settings.checkpoint_seconds,
            on_progress=on_progress,
        )

    def register_all(self) -> dict[str, RegistrationReport]:
        return {key: self.register(key) for key in self.shard_keys()}

    def verify(
        self,
        shard_key: str,
        *,
        megabytes_per_second: float = 1e6,
        checkpoint_images: int | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> VerificationReport:
        return verify_shard(
            self.context(),
            shard_key,
            megabytes_per_second=megabytes_per_second,
            checkpoint_images=checkpoint_images or self.settings.checkpoint_images,
            on_progress=on_progress,
        )

    def embedder(self, model_key: str = "tiny-a") -> tuple[Embedder, int]:
        """The loaded model, and the id of its row; at its first load in float32, whatever is faster here."""
        settings = self.settings.models[model_key]
        with self.engine.connect() as connection:
            known = find_model(connection, model_key)
        embedder = load_embedder(model_key, settings, known.precision if known else Precision.FLOAT32)
        return embedder, record_model(self.engine, model_key, settings, embedder.facts)

    def embed(
        self, shard_key: str, model_key: str = "tiny-a", *, on_progress: OnProgress = ignore_progress
    ) -> EmbeddingReport:
        embedder, model_id = self.embedder(model_key)
        return embed_shard(
            self.context(),
            Stores(self.previews, self.embeddings),
            embedder,
            model_id,
            shard_key,
            checkpoint_images=self.settings.checkpoint_images,
            checkpoint_seconds=self.settings.checkpoint_seconds,
            on_progress=on_progress,
        )

    def embed_all(self, model_key: str = "tiny-a") -> dict[str, EmbeddingReport]:
        return {key: self.embed(key, model_key) for key in self.shard_keys()}

    def index(self, model_key: str = "tiny-a") -> IndexingReport:
        return build_index(self.context(), self.embeddings, self.indexes, model_key)

    def build(self, *model_keys: str) -> None:
        """Everything from the scan to the index of each model."""
        self.scan()
        self.register_all()
        for model_key in model_keys or ("tiny-a",):
            self.embed_all(model_key)
            self.index(model_key)

    def live(self, model_key: str = "tiny-a") -> LiveEmbeddings:
        with self.engine.connect() as connection:
            model = require_model(connection, model_key)
            return find_live_embeddings(connection, self.embeddings, model.id, model.embedding_dim)

    def shard_keys(self) -> list[str]:
        with self.engine.connect() as connection:
            return shard_keys(connection)

    def revision(self, shard_key: str) -> int:
        with self.engine.connect() as connection:
            return find_shard(connection, shard_key).revision

    def images(self) -> dict[str, Row[Any]]:
        """The rows of all images with the key and the revision of their shard, by path in path order."""
        statement = select(Image.__table__, Shard.key.label("shard")).join(Shard, Shard.id == Image.shard_id)
        with self.engine.connect() as connection:
            rows = connection.execute(statement.order_by(Image.path)).all()
        return {row.path: row for row in rows}

    def states(self) -> dict[str, str]:
        return {path: str(row.state) for path, row in self.images().items()}

    def jobs(self, kind: JobKind) -> list[Row[Any]]:
        with self.engine.connect() as connection:
            return list(
                connection.execute(select(MlJob.__table__).where(MlJob.kind == kind).order_by(MlJob.id))
            )
