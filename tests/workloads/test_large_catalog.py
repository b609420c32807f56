"""The catalog that the scale benchmark measures: its status is what a count image by image says."""

from pathlib import Path

from sqlalchemy import Engine

from photolineage.catalog.listing import library_status
from workloads.large_catalog import MODELS, LargeCatalog


def test_its_status_is_right_in_all_states_of_work(empty_engine: Engine, tmp_path: Path) -> None:
    library = LargeCatalog(950, capacity=100)
    assert sum(library.build(empty_engine, tmp_path)) == 950
    with empty_engine.connect() as connection:
        status = library_status(connection)
    assert sum(source.images for source in status.sources) == 950
    assert sum(source.discovered for source in status.sources) == library.to_register() > 0
    left = library.to_embed()
    assert [key for key in MODELS if left[key].images] == ["outdated", "half"]
    assert left == {
        model.key: (model.embeddable - model.committed_embeddings, model.shards_left)
        for model in status.models
    }
