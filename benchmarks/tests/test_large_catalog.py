"""The catalog that the scale benchmark measures: what remains in it is what a count image by image says."""

from pathlib import Path

from sqlalchemy import Engine

from benchmarks.large_catalog import MODELS, LargeCatalog
from photolineage.catalog.coverage import remaining_work
from photolineage.catalog.listing import library_status


def test_what_remains_is_counted_right_in_all_states_of_work(empty_engine: Engine, tmp_path: Path) -> None:
    library = LargeCatalog(950, capacity=100)
    assert sum(library.build(empty_engine, tmp_path)) == 950
    with empty_engine.connect() as connection:
        found = remaining_work(connection, MODELS)
        status = library_status(connection)
    assert found == library.remaining()
    assert {key for key, _ in found.to_embed} == {"outdated", "half"}
    assert len(found.to_register) == 4
    assert sum(source.images for source in status.sources) == 950
    left = {
        model.key: (model.embeddable - model.committed_embeddings, model.shards_left)
        for model in status.models
    }
    assert left == {
        key: (
            sum(count for (model, _), count in found.to_embed.items() if model == key),
            sum(model == key for model, _ in found.to_embed),
        )
        for key in MODELS
    }
