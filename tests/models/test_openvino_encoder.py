"""The images' side of a model, computed by OpenVINO."""

import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from photolineage.catalog.vocabulary import Precision
from photolineage.models.embedder import Embedder, load_embedder, unload
from photolineage.models.openvino_encoder import (
    OpenVinoImageEncoder,
    WayUnavailableError,
    _as_linear_layers,
    trace_image_half,
)
from photolineage.models.ways import WAYS
from photolineage.settings import ModelSettings


@pytest.fixture
def embedder(tiny_models: Mapping[str, Path]) -> Embedder:
    unload()
    return load_embedder("tiny-a", ModelSettings(architecture=f"local-dir:{tiny_models['tiny-a']}"))


def encoder_of(embedder: Embedder) -> OpenVinoImageEncoder:
    graph = trace_image_half(embedder._model, (64, 64))
    return OpenVinoImageEncoder(graph, embedder.transform, Precision.INT8)


@pytest.fixture
def encoder(embedder: Embedder) -> OpenVinoImageEncoder:
    return encoder_of(embedder)


@pytest.fixture
def seen(embedder: Embedder) -> np.ndarray:
    """What the model sees of twenty pictures of noise, coarse and fine."""
    random = np.random.default_rng(4)
    pictures = [
        Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8)).resize((96, 80))
        for side in range(2, 22)
    ]
    return np.stack([embedder.transform.of_image(picture).numpy() for picture in pictures])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_embeddings_are_nearly_those_of_the_model_and_not_the_same(
    embedder: Embedder, encoder: OpenVinoImageEncoder, seen: np.ndarray
) -> None:
    reference = embedder.encode_batch(list(torch.from_numpy(seen)))
    found = unit(encoder.encode(seen))
    assert (found.dtype, found.shape) == (np.dtype(np.float32), reference.shape)
    cosines = np.sum(found * reference, axis=1)
    assert 0.995 < cosines.min() <= cosines.max() < 1 - 1e-7
    assert np.abs(unit(found[:1]) @ reference.T).argmax() == 0


def test_an_embedding_does_not_depend_on_the_rest_of_its_batch(
    encoder: OpenVinoImageEncoder, seen: np.ndarray
) -> None:
    np.testing.assert_array_equal(encoder.encode(seen)[7:9], encoder.encode(seen[7:9]))


def test_several_threads_may_encode_at_once(encoder: OpenVinoImageEncoder, seen: np.ndarray) -> None:
    alone = encoder.encode(seen)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(encoder.encode, [seen] * 16):
            np.testing.assert_array_equal(found, alone)


def test_what_was_returned_stays_as_it_is(encoder: OpenVinoImageEncoder, seen: np.ndarray) -> None:
    first = encoder.encode(seen[:1])
    kept = first.copy()
    encoder.encode(seen[1:2])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.skipif(
    not any(torch.cpu.get_capabilities().get(name) for name in ("avx512_vnni", "avx_vnni")),
    reason="OpenVINO multiplies in float32 without VNNI",
)
def test_every_linear_layer_multiplies_8_bit_weights(
    embedder: Embedder, encoder: OpenVinoImageEncoder
) -> None:
    """Four in each block of the transformer, the embedding of patches, and the projection."""
    weights = [
        node.input_values()[1].get_element_type().to_string()
        for node in encoder._compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"].astype(str) == "FullyConnected"
    ]
    assert weights == ["i8"] * (4 * len(embedder._model.visual.transformer.resblocks) + 2)


@pytest.mark.parametrize(
    ("layer", "shape", "is_replaced"),
    [
        (torch.nn.MultiheadAttention(12, 3, batch_first=True), (2, 5, 12), True),
        (torch.nn.MultiheadAttention(12, 3, batch_first=True, bias=False), (2, 5, 12), True),
        (torch.nn.MultiheadAttention(12, 3, batch_first=False), (2, 5, 12), False),
        (torch.nn.MultiheadAttention(12, 3, batch_first=True, add_bias_kv=True), (2, 5, 12), False),
        (torch.nn.MultiheadAttention(12, 3, batch_first=True, add_zero_attn=True), (2, 5, 12), False),
        (torch.nn.Conv2d(3, 8, 4, stride=4), (2, 3, 8, 12), True),
        (torch.nn.Conv2d(3, 8, (2, 4), stride=(2, 4), padding="valid", bias=False), (2, 3, 8, 12), True),
        (torch.nn.Conv2d(3, 8, 4, stride=4), (2, 3, 10, 12), False),
        (torch.nn.Conv2d(3, 8, 4, stride=2), (2, 3, 8, 12), False),
        (torch.nn.Conv2d(3, 8, 1), (2, 3, 8, 12), False),
        (torch.nn.Conv2d(3, 8, 4, stride=4, padding=2), (2, 3, 8, 12), False),
        (torch.nn.Conv2d(3, 6, 4, stride=4, groups=3), (2, 3, 8, 12), False),
    ],
)
def test_layers_compute_the_same_as_linear_ones(
    layer: torch.nn.Module, shape: tuple[int, ...], is_replaced: bool
) -> None:
    """Exactly the same where they are left as they are, up to the order of summation where they are not."""
    given = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    is_attention = isinstance(layer, torch.nn.MultiheadAttention)
    arguments = (given,) * 3 if is_attention else (given,)
    options = {"need_weights": False} if is_attention else {}
    before = type(layer).forward
    expected = layer(*arguments, **options)
    with _as_linear_layers(), torch.profiler.profile() as profile:
        found = layer(*arguments, **options)
    if is_attention:
        found, expected = found[0], expected[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    operators = {event.name for event in profile.events()}
    of_torch = "aten::unflatten" if is_attention else "aten::conv2d"
    assert (of_torch in operators) != is_replaced
    assert type(layer).forward is before


def test_attention_with_a_mask_to_others_or_with_its_weights_is_left_as_it_is() -> None:
    layer = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    tokens, others = torch.randn(2, 5, 12), torch.randn(2, 5, 12)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5)

    def attended() -> tuple[torch.Tensor, ...]:
        masked, _ = layer(tokens, tokens, tokens, need_weights=False, attn_mask=mask)
        to_others, _ = layer(tokens, others, others, need_weights=False)
        return masked, to_others, *layer(tokens, tokens, tokens), *layer(tokens, tokens, tokens, None, True)

    expected = attended()
    with _as_linear_layers():
        torch.testing.assert_close(attended(), expected, atol=0, rtol=0)


@pytest.fixture
def encode_image(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[torch.Tensor], torch.Tensor]], None]:
    """Replaces what the models do after their images' side."""

    def replace(step: Callable[[torch.Tensor], torch.Tensor]) -> None:
        monkeypatch.setattr(open_clip.CLIP, "encode_image", lambda model, pixels: step(model.visual(pixels)))

    return replace


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda found: found + torch.linalg.eigvals(found[:, None, :1]).real, "linalg_eigvals"),
        (lambda found: found.reshape(int(found.shape[0]), 16), "OpenVINO cannot compute it: .+"),
        (lambda found: found[:1], "for 3 images it returns embeddings of shape"),
    ],
    ids=["unknown operator", "batch of the trace", "fewer embeddings"],
)
def test_what_cannot_be_computed_in_int8_says_why(
    embedder: Embedder,
    encode_image: Callable[[Callable[[torch.Tensor], torch.Tensor]], None],
    step: Callable[[torch.Tensor], torch.Tensor],
    reason: str,
) -> None:
    encode_image(step)
    root = logging.getLogger()
    before = root.level, root.filters[:], root.handlers[:]
    with pytest.raises(WayUnavailableError, match=reason):
        encoder_of(embedder)
    assert (root.level, root.filters, root.handlers) == before
    assert torch.nn.Conv2d.forward.__qualname__ == "Conv2d.forward"
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_lack_of_memory_is_not_taken_for_what_cannot_be_computed(
    embedder: Embedder, encode_image: Callable[[Callable[[torch.Tensor], torch.Tensor]], None]
) -> None:
    def allocate(found: torch.Tensor) -> torch.Tensor:
        return found + torch.empty(2**50).sum()

    encode_image(allocate)
    with pytest.raises(RuntimeError, match="allocate memory"):
        encoder_of(embedder)


def test_weights_that_are_all_zero_stay_so(embedder: Embedder, seen: np.ndarray) -> None:
    with torch.no_grad():
        layer = embedder._model.visual.transformer.resblocks[0].mlp.c_fc
        layer.weight[0] = 0
    found = encoder_of(embedder).encode(seen)
    unload()
    assert np.isfinite(found).all()


def test_the_model_computes_as_before(embedder: Embedder, seen: np.ndarray) -> None:
    batch = list(torch.from_numpy(seen))
    before = embedder.encode_batch(batch)
    had_fast_path = torch.backends.mha.get_fastpath_enabled()
    for way in WAYS["cpu"][1:]:
        with embedder.computing_in(way):
            found = embedder.encode_batch(batch)
            assert embedder.way == way
        assert 0.99 < float(np.sum(found * before, axis=1).mean()) < 1.001
        if way.precision != Precision.FLOAT32:
            assert not np.array_equal(found, before)
    np.testing.assert_array_equal(embedder.encode_batch(batch), before)
    assert torch.backends.mha.get_fastpath_enabled() == had_fast_path
    unload()


def test_openvino_tells_nobody_that_it_is_used() -> None:
    """Its telemetry would write of every import to a web service."""
    script = (
        "import sys; from photolineage.models.openvino_encoder import _openvino; _openvino().convert_model;"
        "print(*(name for name, module in sys.modules.items() if 'telemetry' in name and module))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "openvino.tools.ovc.telemetry_stub" in loaded.split()
    assert not [name for name in loaded.split() if name.startswith("openvino_telemetry")]
