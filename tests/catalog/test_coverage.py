"""What remains to be done is counted from the images' rows, and agrees with what was committed."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, insert, select, update

from photolineage.catalog.coverage import (
    ImageTally,
    TooManyModelsError,
    mark_embedded,
    model_bit,
    settle_embedded,
    tally_images,
)
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image, ImageState, MlModel, Shard
from photolineage.catalog.queries import EmbeddableImage, embeddable_images
from tests.catalog.conftest import NOW

AddImage = Callable[..., int]


@pytest.fixture
def models(catalog_engine: Engine) -> list[int]:
    """The ids of two models, `a` and `b`."""
    with write_transaction(catalog_engine) as connection:
        return [
            connection.execute(
                insert(MlModel)
                .values(
                    key=key, architecture="ViT", embedding_dim=8, image_size=64, weights_digest="d",
                    first_loaded_at=NOW, serving=False,
                )
                .returning(MlModel.id)
            ).scalar_one()
            for key in ("a", "b")
        ]  # fmt: skip


@pytest.fixture
def registered(add_image: AddImage) -> list[int]:
    """The ids of four registered images of different contents, `1` to `4`."""
    return [
        add_image(f"{number}.jpg", state=ImageState.REGISTERED, content_hash=str(number))
        for number in (1, 2, 3, 4)
    ]


def bits(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(select(Image.embedded_models).order_by(Image.id)).scalars())


def in_shard(engine: Engine, shard_id: int) -> list[EmbeddableImage]:
    with engine.connect() as connection:
        return embeddable_images(connection, shard_id)


def test_models_are_marked_apart_and_other_contents_are_not(
    catalog_engine: Engine, shard_id: int, models: list[int], registered: list[int]
) -> None:
    a, b = map(model_bit, models)
    images = in_shard(catalog_engine, shard_id)
    with write_transaction(catalog_engine) as connection:
        connection.execute(update(Image).where(Image.id == registered[1]).values(content_hash="other"))
        mark_embedded(connection, models[0], images[:3])
        mark_embedded(connection, models[1], images[:1])
        mark_embedded(connection, models[1], [])
    assert bits(catalog_engine) == [a | b, 0, a, 0]


def test_the_bits_are_settled_by_what_is_committed(
    catalog_engine: Engine, shard_id: int, models: list[int], registered: list[int]
) -> None:
    a, b = map(model_bit, models)
    with write_transaction(catalog_engine) as connection:
        for image_id, value in zip(registered, (a, b, a | b, 0), strict=True):
            connection.execute(update(Image).where(Image.id == image_id).values(embedded_models=value))
    images = in_shard(catalog_engine, shard_id)
    with write_transaction(catalog_engine) as connection:
        settle_embedded(connection, models[0], images, [images[0], images[3]])
    assert bits(catalog_engine) == [0, a | b, a | b, 0]


def test_images_are_counted_by_shard_state_and_models(
    catalog_engine: Engine, shard_id: int, models: list[int], registered: list[int], add_image: AddImage
) -> None:
    a, b = map(model_bit, models)
    with write_transaction(catalog_engine) as connection:
        second = connection.execute(
            insert(Shard)
            .values(source_id=1, number=1, key="photos-00001", capacity=5, image_count=0, revision=1)
            .returning(Shard.id)
        ).scalar_one()
    add_image("copy.jpg", state=ImageState.REGISTERED, content_hash="1", duplicate_of_id=registered[0])
    for state in (ImageState.FAILED, ImageState.MISSING):
        add_image(f"{state}.jpg", state=state, embedded_models=a)
    for path in ("x.jpg", "y.jpg"):
        add_image(path, shard_id=second)
    add_image("z.jpg", shard_id=second, state=ImageState.REGISTERED, content_hash="9", embedded_models=a)
    with write_transaction(catalog_engine) as connection:
        mark_embedded(connection, models[0], in_shard(catalog_engine, shard_id)[:3])
    with catalog_engine.connect() as connection:
        tallies = tally_images(connection)
    assert set(tallies) == {
        ImageTally("photos", "photos-00000", ImageState.FAILED, a, 1, 0),
        ImageTally("photos", "photos-00000", ImageState.MISSING, a, 1, 0),
        ImageTally("photos", "photos-00000", ImageState.REGISTERED, a, 3, 0),
        ImageTally("photos", "photos-00000", ImageState.REGISTERED, 0, 2, 1),
        ImageTally("photos", "photos-00001", ImageState.DISCOVERED, 0, 2, 0),
        ImageTally("photos", "photos-00001", ImageState.REGISTERED, a, 1, 0),
    }
    assert len(tallies) == 6
    assert sum(tally.embeddable for tally in tallies) == 5
    assert sum(tally.embedded(models[0]) for tally in tallies) == 4
    assert [tally.embedded(models[1]) for tally in tallies] == [0] * len(tallies)
    assert b not in bits(catalog_engine)


def test_the_last_model_that_can_be_counted(catalog_engine: Engine, add_image: AddImage) -> None:
    add_image("a.jpg", embedded_models=model_bit(62) | model_bit(1))
    assert bits(catalog_engine) == [2**62 + 2]
    with pytest.raises(TooManyModelsError, match=r"model 63: .* first 62 models .* another catalog"):
        model_bit(63)
