"""Which way of computing a model is taken, and how far two agree."""

import numpy as np
import pytest

from photolineage.catalog.vocabulary import Precision
from photolineage.models.ways import (
    REFERENCE,
    WAYS,
    Agreement,
    Backend,
    Timing,
    Way,
    agreement,
    fastest,
    unmeasured_way,
)

FLOAT32, FLOAT16, BFLOAT16, INT8 = Precision
TORCH, OPENVINO = Backend
TORCH_32, OV_32, TORCH_BF16, OV_BF16, OV_INT8 = WAYS["cpu"]
GOOD, BAD = Agreement(0.9999, 0.97), Agreement(0.9949, 1.0)


def measured(*milliseconds: float, bad: Way | None = None) -> list[Timing]:
    """Timings of the ways of a processor, as they are listed there; `bad` does not agree with float32."""
    return [
        Timing(way, time, BAD if way == bad else GOOD)
        for way, time in zip(WAYS["cpu"], milliseconds, strict=True)
    ]


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        ((57, 55, 99, 94, 19), OV_INT8),  # with VNNI and AVX512-BF16, without AMX: a ViT
        ((226, 121, 91, 62, 116), OV_BF16),  # the same processor: a ResNet
        ((57, 55, 99, 94, 60), TORCH_32),
        ((57, 50, 99, 94, 60), OV_32),
        ((57, 52, 52, 52, 52), TORCH_32),  # less than a tenth
        ((100, 95, 91, 99, 90), OV_INT8),
        ((100, 100, 90, 89, 88), TORCH_BF16),  # a tenth, and then noise: the more exact one stays
    ],
)
def test_the_fastest_way_is_taken_and_the_more_exact_one_unless_a_tenth_is_gained(
    milliseconds: tuple[float, ...], expected: Way
) -> None:
    assert fastest(measured(*milliseconds)) == expected


def test_a_way_that_does_not_agree_or_cannot_be_computed_is_not_taken() -> None:
    assert fastest(measured(57, 55, 30, 94, 19, bad=OV_INT8)) == TORCH_BF16
    assert fastest([Timing(TORCH_32, 57.0, BAD), Timing(OV_INT8, problem="no operator")]) == REFERENCE
    assert fastest([Timing(TORCH_32, 57.0, GOOD), Timing(TORCH_BF16, 1.0)]) == REFERENCE  # not compared
    assert fastest([]) == REFERENCE


def test_embeddings_in_one_precision_are_computed_in_it_or_in_float32_where_that_is_faster() -> None:
    timings = measured(57, 55, 30, 20, 10)
    assert fastest(timings, (BFLOAT16,)) == OV_BF16
    assert fastest(timings, (FLOAT32,)) == TORCH_32
    assert fastest(timings, (FLOAT16,)) == TORCH_32
    slow = measured(57, 55, 99, 94, 19)
    assert fastest(slow, (BFLOAT16,)) == TORCH_32
    assert fastest(measured(57, 55, 60, 65, 19), (BFLOAT16,)) == TORCH_BF16  # a tenth is not gained


def test_without_a_measurement_a_precision_is_computed_where_the_device_has_it() -> None:
    assert unmeasured_way(INT8, "cpu") == OV_INT8
    assert unmeasured_way(INT8, "cuda") == unmeasured_way(FLOAT16, "cpu") == REFERENCE
    assert unmeasured_way(FLOAT16, "cuda") == Way(FLOAT16, TORCH)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_agreement_of_vectors_with_themselves_is_whole() -> None:
    vectors = unit(np.random.default_rng(2).normal(size=(30, 8)))
    found = agreement(vectors, vectors)
    assert (found.cosine, found.neighbors) == pytest.approx((1, 1))
    assert found.suffices


def test_neighbours_that_are_elsewhere_are_not_in_common() -> None:
    """On a circle of 44 points each point's ten nearest are the five on either side."""
    angles = 2 * np.pi * np.arange(44) / 44
    circle = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    halves_swapped = circle.copy()
    halves_swapped[1::2] = -circle[1::2]
    found = agreement(halves_swapped, circle)
    assert found.cosine == pytest.approx(0, abs=1e-6)
    assert found.neighbors == pytest.approx(0.4)  # the even ones: two on either side
    assert not found.suffices


def test_few_images_have_no_neighbours_to_compare() -> None:
    vectors = unit(np.random.default_rng(2).normal(size=(20, 8)))
    assert agreement(vectors, vectors).neighbors is None


def test_the_bar_is_a_mean_cosine() -> None:
    assert Agreement(0.995, None).suffices
    assert not Agreement(0.9949, 1.0).suffices


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_agree_with_nothing(value: float) -> None:
    vectors = unit(np.random.default_rng(2).normal(size=(30, 8)))
    assert agreement(np.full_like(vectors, value), vectors).cosine <= 0
