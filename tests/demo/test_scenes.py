import numpy as np
import pytest

from photolineage.demo.evaluate import PARAPHRASES
from photolineage.demo.scenes import SCENES, TEMPLATES, caption, render_scene


@pytest.mark.parametrize("kind", SCENES)
@pytest.mark.parametrize("size", [(96, 72), (72, 96)], ids=["landscape", "portrait"])
def test_a_scene_is_drawn_alike_from_the_same_seed_only(kind: str, size: tuple[int, int]) -> None:
    first, again, other = (render_scene(kind, np.random.default_rng(seed), size) for seed in (1, 1, 2))
    assert (first.mode, first.size) == ("RGB", size)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", SCENES)
def test_a_scene_fills_its_picture(kind: str) -> None:
    pixels = np.asarray(render_scene(kind, np.random.default_rng(5), (128, 96)), dtype=float)
    rows_without_contrast = (pixels.std(axis=(1, 2)) < 0.5).sum()
    assert pixels.std() > 10
    assert rows_without_contrast == 0


def test_captions_come_from_the_scene_and_vary() -> None:
    rng = np.random.default_rng(0)
    said = {caption("forest", rng) for _ in range(400)}
    possible = {template.format(phrase) for template in TEMPLATES for phrase in SCENES["forest"].captions}
    assert said == possible


def test_no_phrase_names_two_scenes() -> None:
    phrases = [phrase for scene in SCENES.values() for phrase in scene.captions]
    assert len(phrases) == len(set(phrases))
    assert len(SCENES) == 18


def test_paraphrases_ask_for_every_scene_in_words_that_training_never_used() -> None:
    assert set(PARAPHRASES) == set(SCENES)
    trained = {
        template.format(phrase)
        for scene in SCENES.values()
        for phrase in scene.captions
        for template in TEMPLATES
    }
    assert trained.isdisjoint(phrase for phrases in PARAPHRASES.values() for phrase in phrases)


def test_an_unknown_scene_is_refused() -> None:
    with pytest.raises(KeyError, match="moon"):
        render_scene("moon", np.random.default_rng(0), (64, 48))
