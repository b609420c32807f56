"""Which precision a device has, and how far two agree."""

import numpy as np
import pytest
import torch

from photolineage.catalog.vocabulary import Precision
from photolineage.models.precision import Agreement, agreement, native_precisions

FLOAT32, BFLOAT16, INT8 = Precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_f": True, "amx_bf16": False, "avx512_bf16": False}, (FLOAT32,)),
        ({"avx512_bf16": True}, (BFLOAT16, FLOAT32)),
        ({"amx_bf16": True, "avx512_bf16": False, "avx512_vnni": True}, (BFLOAT16, INT8, FLOAT32)),
        ({"avx512_vnni": True}, (INT8, FLOAT32)),
        ({"avx_vnni": True, "avx512_vnni": False}, (INT8, FLOAT32)),
        ({"neon": True}, (FLOAT32,)),
    ],
)
def test_a_processor_computes_in_what_it_has_instructions_for(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: tuple[Precision, ...]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert native_precisions("cpu") == expected


@pytest.mark.parametrize(("is_supported", "expected"), [(True, (BFLOAT16, FLOAT32)), (False, (FLOAT32,))])
def test_a_gpu_computes_in_bfloat16_where_it_does_so_natively(
    monkeypatch: pytest.MonkeyPatch, is_supported: bool, expected: tuple[Precision, ...]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: is_supported)
    assert native_precisions("cuda") == expected


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
