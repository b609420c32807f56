import hashlib

import numpy as np
import pytest
from PIL import Image

from photolineage.demo.architectures import CONFIG_FILE, RECIPES, WEIGHTS_FILE, model_folder
from photolineage.demo.card import CARD_FILE, card_text
from photolineage.demo.evaluate import captions, embed_library, names, open_model, retrieval
from photolineage.demo.library import ImageKind
from photolineage.demo.records import EVALUATION_FILE, TRAINING_FILE, Evaluation, Training
from photolineage.models.embedder import Embedder
from photolineage.models.measuring import measure_ways
from photolineage.models.ways import WAYS
from photolineage.settings import ModelSettings
from tests.demo.conftest import DrawnLibrary

LARGEST_BYTES = 8_000_000


@pytest.fixture(scope="module", params=list(RECIPES))
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(key: str) -> Embedder:
    return open_model(key, model_folder(key))


@pytest.fixture(scope="module")
def embedded(model: Embedder, drawn_library: DrawnLibrary) -> tuple[np.ndarray, np.ndarray]:
    return embed_library(model, drawn_library.photos, drawn_library.truth)


def _records(key: str) -> tuple[Training, Evaluation]:
    folder = model_folder(key)
    return (
        Training.model_validate_json((folder / TRAINING_FILE).read_bytes()),
        Evaluation.model_validate_json((folder / EVALUATION_FILE).read_bytes()),
    )


def test_a_model_is_small_and_holds_safetensors_only(key: str) -> None:
    folder = model_folder(key)
    assert {path.name for path in folder.iterdir()} == {
        CARD_FILE, CONFIG_FILE, EVALUATION_FILE, TRAINING_FILE, WEIGHTS_FILE,
    }  # fmt: skip
    assert (folder / WEIGHTS_FILE).stat().st_size <= LARGEST_BYTES


def test_a_model_loads_as_its_recipe_says(key: str, model: Embedder) -> None:
    recipe = RECIPES[key]
    assert (model.facts.embedding_dim, model.facts.image_size) == (
        recipe.model["embed_dim"],
        recipe.image_size,
    )
    assert not model.truncates("a photo of a birthday party with balloons, holiday snapshot")


def test_the_models_differ_in_dimension_and_architecture() -> None:
    first, second = (RECIPES[key].model for key in ("demo-clip-v1", "demo-clip-v2"))
    assert first["embed_dim"] != second["embed_dim"]
    assert type(first["vision_cfg"]["layers"]) is not type(second["vision_cfg"]["layers"])


def test_the_card_says_what_was_recorded_of_these_very_weights(key: str) -> None:
    training, evaluation = _records(key)
    weights = (model_folder(key) / WEIGHTS_FILE).read_bytes()
    assert evaluation.weights_sha256 == hashlib.sha256(weights).hexdigest()
    card = (model_folder(key) / CARD_FILE).read_text(encoding="utf-8")
    assert card == card_text(key, training, evaluation)


def test_the_second_model_is_better() -> None:
    (_, first), (_, second) = (_records(key) for key in ("demo-clip-v1", "demo-clip-v2"))
    assert second.zero_shot_accuracy > first.zero_shot_accuracy
    assert second.copies_found_first > first.copies_found_first
    assert second.held_out_captions.precision_at_10 > first.held_out_captions.precision_at_10


def test_every_way_of_computing_a_trained_model_finds_the_same_pictures(
    key: str, drawn_library: DrawnLibrary
) -> None:
    """With random weights, everything agrees with everything. These are trained."""
    readable = [image for image in drawn_library.truth.images if image.kind is not ImageKind.CORRUPT]
    pictures = [Image.open(drawn_library.photos / image.path).convert("RGB") for image in readable[::5]]
    timings = measure_ways(key, ModelSettings(architecture=f"local-dir:{model_folder(key)}"), pictures)
    assert len(timings) == len(WAYS["cpu"])
    for timing in timings:
        assert timing.agreement is not None, timing
        assert timing.agreement.cosine >= 0.999, timing
        assert timing.agreement.neighbors is not None
        assert timing.agreement.neighbors >= 0.95, timing


def test_the_name_of_a_scene_finds_that_scene_first(
    model: Embedder, embedded: tuple[np.ndarray, np.ndarray]
) -> None:
    found = retrieval(model, names(), *embedded)
    assert (found.queries, found.recall[1]) == (18, 1.0)
    assert found.precision_at_10 > 0.9


def test_every_caption_finds_its_scene_first(
    model: Embedder, embedded: tuple[np.ndarray, np.ndarray]
) -> None:
    found = retrieval(model, captions(), *embedded)
    assert (found.queries, found.recall[1]) == (len(captions()), 1.0)


def test_the_recorded_figures_of_the_library_hold(
    key: str, model: Embedder, embedded: tuple[np.ndarray, np.ndarray]
) -> None:
    _, evaluation = _records(key)
    now = retrieval(model, captions(), *embedded)
    assert now.pictures == evaluation.library_captions.pictures
    assert now.precision_at_10 == pytest.approx(evaluation.library_captions.precision_at_10, abs=0.02)


def test_frames_of_a_burst_are_each_other_s_nearest(
    model: Embedder, embedded: tuple[np.ndarray, np.ndarray], drawn_library: DrawnLibrary
) -> None:
    readable = [image for image in drawn_library.truth.images if image.kind is not ImageKind.CORRUPT]
    burst = {row for row, image in enumerate(readable) if image.kind is ImageKind.BURST}
    embeddings, _ = embedded
    nearest = np.argsort(-(embeddings[sorted(burst)] @ embeddings.T), axis=1)[:, : len(burst)]
    assert [set(row) for row in nearest.tolist()] == [burst] * len(burst)


def test_a_copy_is_nearly_the_same(model: Embedder, drawn_library: DrawnLibrary) -> None:
    duplicate = next(image for image in drawn_library.truth.images if image.kind is ImageKind.DUPLICATE)
    with Image.open(drawn_library.photos / duplicate.path) as stored:
        original = stored.convert("RGB")
    trimmed = original.crop((20, 15, original.width - 20, original.height - 15)).resize((640, 480))
    first, second = model.encode_images([original, trimmed])
    assert float(first @ second) > 0.9
