"""The demo library as a collection: drawn, processed by the whole lineage, with its true events."""

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from assets.orchestration.lineage_run import run_lineage
from photolineage.catalog.orm import Image, Source
from photolineage.cli.terminal import ProgressBars
from photolineage.demo.configuration import SOURCE, demo_settings
from photolineage.demo.library import LibraryTruth, render_library
from photolineage.models.registry import require_model
from photolineage.steps.cluster import read_images
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.live_embeddings import find_live_embeddings
from workloads.collections import Collection


def demo_collection() -> Collection:
    """The demo library, brought up to date, with the embeddings of its first model.

    A picture without an event, e.g. a screenshot, is an event of its own.
    """
    settings = demo_settings()
    folder, model_key = settings.sources[SOURCE].root, next(iter(settings.models))
    with ProgressBars() as bars:
        truth = render_library(
            folder, folder.with_name("truth.json"), on_progress=bars.counter("Drawing the demo library")
        )
        run_lineage(settings, [SOURCE], [model_key], bars)
    with settings.catalog.open_engine().connect() as connection:
        images = read_images(connection)
        model = require_model(connection, model_key)
        store = EmbeddingStore(open_files(settings))
        embeddings = find_live_embeddings(connection, store, model.id, model.embedding_dim).vectors()
        rows = connection.execute(select(Image.id, Image.path).join(Source).where(Source.key == SOURCE)).all()
    drawn = pa.array([image_id for image_id, _ in rows], pa.int64())
    images = images.filter(pa.compute.is_in(images["image_id"], drawn))
    embeddings = embeddings.filter(pa.compute.is_in(embeddings["image_id"], drawn))
    events = _true_events(truth, {image_id: path for image_id, path in rows})  # noqa: C416
    labels = np.array([events[image_id] for image_id in images["image_id"].to_pylist()], dtype=np.int64)
    return Collection("demo_library", images, embeddings, labels)


def _true_events(truth: LibraryTruth, path_of: dict[int, str]) -> dict[int, int]:
    number_of = {event.id: number for number, event in enumerate(truth.events)}
    event_of = {image.path: image.event for image in truth.images}
    return {
        image_id: number_of[event] if (event := event_of[path]) is not None else len(number_of) + image_id
        for image_id, path in path_of.items()
    }
