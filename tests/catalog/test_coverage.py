"""What remains to be done is counted from the images' rows, and agrees with what was committed."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, delete, insert, select, update

from photolineage.catalog.coverage import (
    ImageTally,
    TooManyModelsError,
    clear_bits_of_no_model,
    free_bit,
    mark_embedded,
    settle_embedded,
    tally_images,
)
from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image, MlModel, Shard
from photolineage.catalog.queries import EmbeddableImage, embeddable_images
from photolineage.catalog.vocabulary import ImageState
from tests.catalog.conftest import NOW

AddImage = Callable[..., int]

A, B = 1, 2**40
"""The bits of the models `a` and `b`; one is beyond 32 bits."""


@pytest.fixture
def models(catalog_engine: Engine) -> list[int]:
    """The ids of two models, `a` and `b`."""
    with write_transaction(catalog_engine) as connection:
        return [
            connection.execute(
                insert(MlModel)
                .values(
                    key=key, architecture="ViT", embedding_dim=8, image_size=64, weights_digest="d",
                    embedded_bit=bit, first_loaded_at=NOW, serving=False,
                )
                .returning(MlModel.id)
            ).scalar_one()
            for key, bit in (("a", A), ("b", B))
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
    images = in_shard(catalog_engine, shard_id)
    with write_transaction(catalog_engine) as connection:
        connection.execute(update(Image).where(Image.id == registered[1]).values(content_hash="07e4"))
        mark_embedded(connection, models[0], images[:3])
        mark_embedded(connection, models[1], images[:1])
        mark_embedded(connection, models[1], [])
    assert bits(catalog_engine) == [A | B, 0, A, 0]


def test_the_bits_are_settled_by_what_is_committed(
    catalog_engine: Engine, shard_id: int, models: list[int], registered: list[int]
) -> None:
    with write_transaction(catalog_engine) as connection:
        for image_id, value in zip(registered, (A, B, A | B, 0), strict=True):
            connection.execute(update(Image).where(Image.id == image_id).values(embedded_models=value))
    images = in_shard(catalog_engine, shard_id)
    with write_transaction(catalog_engine) as connection:
        settle_embedded(connection, models[0], images, [images[0], images[3]])
    assert bits(catalog_engine) == [0, A | B, A | B, 0]


def test_images_are_counted_by_shard_state_and_models(
    catalog_engine: Engine, shard_id: int, models: list[int], registered: list[int], add_image: AddImage
) -> None:
    with write_transaction(catalog_engine) as connection:
        second = connection.execute(
            insert(Shard)
            .values(source_id=1, number=1, key="photos-00001", capacity=5, image_count=0, revision=1)
            .returning(Shard.id)
        ).scalar_one()
    add_image("copy.jpg", state=ImageState.REGISTERED, content_hash="1", duplicate_of_id=registered[0])
    for state in (ImageState.FAILED, ImageState.MISSING):
        add_image(f"{state}.jpg", state=state, embedded_models=A)
    for path in ("x.jpg", "y.jpg"):
        add_image(path, shard_id=second)
    add_image("z.jpg", shard_id=second, state=ImageState.REGISTERED, content_hash="9", embedded_models=A)
    with write_transaction(catalog_engine) as connection:
        mark_embedded(connection, models[0], in_shard(catalog_engine, shard_id)[:3])
    with catalog_engine.connect() as connection:
        tallies = tally_images(connection)
    assert set(tallies) == {
        ImageTally("photos", "photos-00000", ImageState.FAILED, A, 1, 0),
        ImageTally("photos", "photos-00000", ImageState.MISSING, A, 1, 0),
        ImageTally("photos", "photos-00000", ImageState.REGISTERED, A, 3, 0),
        ImageTally("photos", "photos-00000", ImageState.REGISTERED, 0, 2, 1),
        ImageTally("photos", "photos-00001", ImageState.DISCOVERED, 0, 2, 0),
        ImageTally("photos", "photos-00001", ImageState.REGISTERED, A, 1, 0),
    }
    assert len(tallies) == 6
    assert sum(tally.embeddable for tally in tallies) == 5
    assert sum(tally.embedded(A) for tally in tallies) == 4
    assert [tally.embedded(B) for tally in tallies] == [0] * len(tallies)
    assert B not in bits(catalog_engine)


def take_bits(engine: Engine, *bits: int) -> None:
    with write_transaction(engine) as connection:
        for bit in bits:
            connection.execute(
                insert(MlModel).values(
                    key=f"model-{bit}", architecture="ViT", embedding_dim=8, image_size=64, weights_digest="d",
                    embedded_bit=bit, first_loaded_at=NOW, serving=False,
                )
            )  # fmt: skip


def test_a_new_model_takes_the_lowest_bit_that_no_model_and_no_image_has(
    catalog_engine: Engine, add_image: AddImage
) -> None:
    with catalog_engine.connect() as connection:
        assert free_bit(connection) == 1
    take_bits(catalog_engine, 1, 4)
    with catalog_engine.connect() as connection:
        assert free_bit(connection) == 2
    add_image("a.jpg", embedded_models=1 | 2)
    with catalog_engine.connect() as connection:
        assert free_bit(connection) == 8


def test_the_last_model_that_can_be_counted(
    catalog_engine: Engine, shard_id: int, add_image: AddImage
) -> None:
    take_bits(catalog_engine, *(1 << number for number in range(62)))
    with catalog_engine.connect() as connection:
        assert free_bit(connection) == 2**62
    take_bits(catalog_engine, 2**62)
    add_image("a.jpg", embedded_models=2**62 | 1)
    assert bits(catalog_engine) == [2**62 + 1]
    with (
        catalog_engine.connect() as connection,
        pytest.raises(TooManyModelsError, match=r"already has 63 models, .* Retire a model"),
    ):
        free_bit(connection)
    with write_transaction(catalog_engine) as connection:
        connection.execute(delete(MlModel).where(MlModel.embedded_bit == 2**62))
        clear_bits_of_no_model(connection, shard_id)
        assert free_bit(connection) == 2**62
    assert bits(catalog_engine) == [1]


def test_the_bits_of_a_model_that_is_gone_are_cleared_in_one_shard(
    catalog_engine: Engine, shard_id: int, models: list[int], add_image: AddImage
) -> None:
    for path, value in (("both", A | B), ("gone", B), ("none", 0), ("other", A)):
        add_image(path, embedded_models=value)
    with write_transaction(catalog_engine) as connection:
        connection.execute(delete(MlModel).where(MlModel.id == models[1]))
        clear_bits_of_no_model(connection, shard_id + 1)
    assert bits(catalog_engine) == [A | B, B, 0, A]
    with write_transaction(catalog_engine) as connection:
        clear_bits_of_no_model(connection, shard_id)
    assert bits(catalog_engine) == [A, 0, 0, A]
