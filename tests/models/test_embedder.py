"""A model loaded by open_clip: unit vectors, and the facts that its embeddings depend on."""

import gc
import json
import re
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from photolineage.catalog.vocabulary import Precision
from photolineage.models.embedder import (
    Embedder,
    encoding_threads,
    load_embedder,
    unload,
)
from photolineage.models.measuring import measure_ways
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.models.ways import REFERENCE, WAYS, Backend, Way
from photolineage.settings import ModelSettings
from tests.library import TINY_MODELS, write_tiny_model
from workloads import REPOSITORY_ROOT


def settings_of(folder: Path) -> ModelSettings:
    return ModelSettings(architecture=f"local-dir:{folder}")


@pytest.fixture
def pictures() -> list[Image.Image]:
    draw = np.random.default_rng(3)
    return [Image.fromarray(draw.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(5)]


@pytest.mark.parametrize("key", TINY_MODELS)
def test_the_facts_are_measured(tiny_models: Mapping[str, Path], key: str) -> None:
    facts = load_embedder(key, settings_of(tiny_models[key])).facts
    assert (facts.embedding_dim, facts.image_size) == (TINY_MODELS[key], 64)
    assert len(facts.weights_digest) == 64


def test_embeddings_are_unit_vectors_that_do_not_depend_on_the_batch(
    tiny_models: Mapping[str, Path], pictures: list[Image.Image]
) -> None:
    embedder = load_embedder("tiny-a", settings_of(tiny_models["tiny-a"]))
    together = embedder.encode_images(pictures)
    assert together.shape == (5, 16)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = np.concatenate([embedder.encode_images([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.unique(together.round(4), axis=0).shape == (5, 16)


def test_texts_are_embedded_in_the_same_space(tiny_models: Mapping[str, Path]) -> None:
    embedder = load_embedder("tiny-a", settings_of(tiny_models["tiny-a"]))
    vectors = embedder.encode_text(["a beach", "a mountain"])
    assert vectors.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert embedder.encode_text([]).shape == embedder.encode_images([]).shape == (0, 16)
    assert not embedder.truncates("a beach")
    assert embedder.truncates("beach " * 76)


def test_the_digest_is_of_the_weights(tmp_path: Path, tiny_models: Mapping[str, Path]) -> None:
    first = load_embedder("tiny-a", settings_of(tiny_models["tiny-a"])).facts
    same = shutil.copytree(tiny_models["tiny-a"], tmp_path / "same")
    other = write_tiny_model(tmp_path / "other", dim=16, seed=99)
    assert load_embedder("same", settings_of(same)).facts == first
    assert load_embedder("other", settings_of(other)).facts.weights_digest != first.weights_digest


def test_a_model_that_is_asked_for_again_is_not_loaded_again(tiny_models: Mapping[str, Path]) -> None:
    settings = settings_of(tiny_models["tiny-b"])
    assert load_embedder("tiny-b", settings) is load_embedder("tiny-b", settings)


def test_a_model_is_let_go_before_the_next_is_loaded(
    tiny_models: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    former = weakref.ref(load_embedder("tiny-a", settings_of(tiny_models["tiny-a"])))
    create = open_clip.create_model_from_pretrained
    alive_at_load: list[bool] = []

    def record(*arguments: Any, **named: Any) -> object:
        gc.collect()
        alive_at_load.append(former() is not None)
        return create(*arguments, **named)

    monkeypatch.setattr(open_clip, "create_model_from_pretrained", record)
    load_embedder("tiny-b", settings_of(tiny_models["tiny-b"]))
    assert alive_at_load == [False]


LOAD_IN_LITTLE_MEMORY = """
import resource, sys
import open_clip, psutil
from photolineage.models.embedder import load_embedder
from photolineage.models.unavailable import ModelUnavailableError
from photolineage.models.ways import REFERENCE, WAYS, Backend, Way
from photolineage.settings import ModelSettings
limit = psutil.Process().memory_info().vms + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    load_embedder("large", ModelSettings(architecture=f"local-dir:{sys.argv[1]}"))
except ModelUnavailableError as error:
    print(error)
"""


def test_a_model_that_is_too_large_for_the_memory_says_so(
    tmp_path: Path, tiny_models: Mapping[str, Path]
) -> None:
    folder = shutil.copytree(tiny_models["tiny-a"], tmp_path / "large")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {"width": 8192}
    (folder / "open_clip_config.json").write_text(json.dumps(config))

    loaded = subprocess.run(
        [sys.executable, "-c", LOAD_IN_LITTLE_MEMORY, str(folder)],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert loaded.stdout.startswith(f"models.large: local-dir:{folder} cannot be loaded: ")
    assert re.search(r"Only \d+\.\d GB of memory are free\. End other programs", loaded.stdout)


def test_weights_that_do_not_fit_their_configuration_are_refused(
    tmp_path: Path, tiny_models: Mapping[str, Path]
) -> None:
    folder = shutil.copytree(tiny_models["tiny-a"], tmp_path / "torn")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 99
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelUnavailableError,
        match=r"models\.torn: local-dir:.* cannot be loaded: .* must hold open_clip_config",
    ):
        load_embedder("torn", settings_of(folder))


def test_a_model_without_weights_is_refused(tmp_path: Path, tiny_models: Mapping[str, Path]) -> None:
    folder = shutil.copytree(tiny_models["tiny-a"], tmp_path / "bare")
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match=r"models\.bare: .* cannot be loaded: "):
        load_embedder("bare", settings_of(folder))


class SmallMemory(torch.nn.Module):
    """A model on a device whose memory holds a few images."""

    refusal: Exception = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def __init__(self, model: Any, images: int) -> None:
        super().__init__()
        self.model, self.images = model, images
        self.visual = model.visual
        self.encoded: list[int] = []

    def encode_text(self, text: torch.Tensor) -> torch.Tensor:
        return self.model.encode_text(text)

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > self.images:
            raise self.refusal
        self.encoded.append(len(pixels))
        return self.model.encode_image(pixels)


@pytest.fixture
def small_memory(tiny_models: Mapping[str, Path]) -> Callable[[int], tuple[Embedder, SmallMemory]]:
    """The model tiny-a on a device whose memory holds so many images."""

    def make(images: int) -> tuple[Embedder, SmallMemory]:
        name = f"local-dir:{tiny_models['tiny-a']}"
        whole, transform = open_clip.create_model_from_pretrained(name)
        model = SmallMemory(whole.eval(), images)
        return Embedder("tiny-a", model, transform, open_clip.get_tokenizer(name), "cpu"), model

    return make


@pytest.mark.parametrize(
    "refusal",
    [
        SmallMemory.refusal,
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_into_memory_is_halved_and_stays_so(
    small_memory: Callable[[int], tuple[Embedder, SmallMemory]],
    tiny_models: Mapping[str, Path],
    refusal: Exception,
) -> None:
    draw = np.random.default_rng(4)
    pictures = [Image.fromarray(draw.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(20)]
    embedder, model = small_memory(5)
    model.refusal = refusal
    vectors = embedder.encode_images(pictures)
    assert model.encoded == [4, 4, 4, 4, 4]
    assert embedder.batch_images == 4
    whole = load_embedder("tiny-a", settings_of(tiny_models["tiny-a"])).encode_images(pictures)
    np.testing.assert_allclose(vectors, whole, atol=1e-5)
    embedder.encode_images(pictures[:6])
    assert model.encoded[5:] == [4, 2]


def test_memory_that_does_not_hold_one_image_is_an_error(
    small_memory: Callable[[int], tuple[Embedder, SmallMemory]], pictures: list[Image.Image]
) -> None:
    embedder, model = small_memory(0)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        embedder.encode_images(pictures)
    assert (embedder.batch_images, model.encoded) == (1, [])


def test_another_error_of_the_device_is_raised_at_once(
    small_memory: Callable[[int], tuple[Embedder, SmallMemory]], pictures: list[Image.Image]
) -> None:
    embedder, model = small_memory(0)
    model.refusal = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED")
    batch_images = embedder.batch_images
    with pytest.raises(RuntimeError, match="EXECUTION_FAILED"):
        embedder.encode_images(pictures)
    assert embedder.batch_images == batch_images


@pytest.mark.parametrize("faster", WAYS["cpu"][2:], ids=str)
def test_the_way_is_another_and_the_precision_of_the_embeddings_the_same(
    tiny_models: Mapping[str, Path], pictures: list[Image.Image], faster: Way
) -> None:
    settings = settings_of(tiny_models["tiny-a"])
    other = load_embedder("tiny-a", settings, faster.precision, REFERENCE)
    unload()
    native = load_embedder("tiny-a", settings, faster.precision, faster)
    unload()
    assert (other.way, native.way) == (REFERENCE, faster)
    assert other.facts == native.facts
    assert native.facts.precision == faster.precision
    vectors, reference = native.encode_images(pictures), other.encode_images(pictures)
    assert not np.array_equal(vectors, reference)
    assert float(np.min(np.sum(vectors * reference, axis=1))) > 0.99
    np.testing.assert_array_equal(native.encode_text(["a beach"]), other.encode_text(["a beach"]))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_to_measure_names_the_model_and_the_remedy(
    tiny_models: Mapping[str, Path],
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def refuse(_embedder: Embedder, _given: object) -> None:
        raise error

    monkeypatch.setattr(Embedder, "encode_batch", refuse)
    with pytest.raises(ModelUnavailableError, match=r"models\.tiny-a: .* Only \d+\.\d GB of memory are free"):
        measure_ways("tiny-a", settings_of(tiny_models["tiny-a"]), pictures)


def test_ways_that_take_too_much_memory_or_far_too_long_are_left_out(
    tiny_models: Mapping[str, Path], pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Embedder.encode_batch

    def encode_batch(embedder: Embedder, batch: list[torch.Tensor]) -> np.ndarray:
        if embedder.way.precision == Precision.INT8:
            raise MemoryError
        if embedder.way.backend == Backend.TORCH and embedder.way != REFERENCE:
            assert len(batch) == 1, "after the first image, it is known to be slow"
            used = time.process_time()
            while time.process_time() < used + 0.5:
                pass
        return encode(embedder, batch)

    monkeypatch.setattr(Embedder, "encode_batch", encode_batch)
    counted: list[tuple[int, int]] = []
    timings = measure_ways(
        "tiny-a", settings_of(tiny_models["tiny-a"]), pictures, lambda *counts: counted.append(counts)
    )
    assert counted == [(number, 5) for number in range(1, 6)]
    by_way = {timing.way: timing for timing in timings}
    slow = by_way[Way(Precision.BFLOAT16, Backend.TORCH)]
    assert (slow.agreement, slow.agrees) == (None, False)
    assert slow.milliseconds is not None
    assert slow.milliseconds >= 500
    assert by_way[Way(Precision.INT8, Backend.OPENVINO)].problem == "there is too little free memory"
    assert [timing.way for timing in timings if timing.agrees] == [
        REFERENCE, Way(Precision.FLOAT32, Backend.OPENVINO), Way(Precision.BFLOAT16, Backend.OPENVINO),
    ]  # fmt: skip


def test_on_a_processor_each_encoding_thread_has_one_core() -> None:
    before = torch.get_num_threads()
    with encoding_threads("cpu") as threads, ThreadPoolExecutor(1) as pool:
        assert threads == before
        assert pool.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == before
    with encoding_threads("cuda") as threads:
        assert (threads, torch.get_num_threads()) == (1, before)
