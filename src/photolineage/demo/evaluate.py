"""Measure a demo model on held-out scenes: `python -m photolineage.demo.evaluate demo-clip-v2`.

With `--card`, store the figures beside the weights and write the model card.
"""

import hashlib
import io
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from photolineage.demo.architectures import RECIPES, WEIGHTS_FILE, model_folder
from photolineage.demo.card import write_card
from photolineage.demo.dataset import KINDS, SceneSet, Split, scene_set
from photolineage.demo.library import ImageKind, LibraryTruth, render_library
from photolineage.demo.records import EVALUATION_FILE, Evaluation, Retrieval
from photolineage.demo.scenes import SCENES
from photolineage.models.embedder import Embedder, load_embedder
from photolineage.settings import ModelSettings

Embeddings = NDArray[np.float32]

HELD_OUT_PER_KIND = 40
DEPTHS = (1, 5, 10)
_BATCH = 64

PARAPHRASES: dict[str, tuple[str, ...]] = {
    "beach_at_sunset": ("sunset on the beach", "the sun sinking into the sea"),
    "tropical_beach": ("a palm beach in summer", "white sand and turquoise lagoon"),
    "sailing_boats": ("a sailboat with white sails", "yachts on the blue lake"),
    "snowy_mountains": ("snow in the alpine mountains", "winter peaks"),
    "waterfall": ("a cascade down a cliff", "rocks and falling water"),
    "desert_dunes": ("dunes of the Sahara", "a caravan of camels"),
    "forest": ("walking between tall trees in the woods", "green woodland"),
    "autumn_park": ("fall leaves in the park", "golden trees in autumn"),
    "sunflower_field": ("yellow sunflowers in a field", "rows of yellow flowers"),
    "city_at_night": ("skyscrapers with city lights", "downtown skyline after dark"),
    "old_town": ("colourful facades in the historic centre", "houses along the canal"),
    "hot_air_balloons": ("hot air balloon festival", "balloon ride over a valley"),
    "fireworks": ("firework sparks on new year's eve", "a display of fireworks over water"),
    "concert": ("a rock band playing live on stage", "crowd at a music festival"),
    "campsite": ("camping in a tent", "tent and campfire under the milky way"),
    "birthday_table": ("a cake with candles", "birthday balloons and presents"),
    "christmas_tree": ("a tree decorated for christmas", "baubles and fairy lights in the living room"),
    "cat": ("a kitten", "our pet cat on the sofa"),
}
"""Other ways to ask for each scene. No model saw them in training: they are for evaluation only."""


def open_model(key: str, folder: Path) -> Embedder:
    """Load the demo model in the folder. Raises ModelUnavailableError."""
    return load_embedder(key, ModelSettings(architecture=f"local-dir:{folder}"))


def evaluate(key: str, folder: Path) -> Evaluation:
    """Compute all figures of the model in the folder. Every call gives the same figures."""
    import torch

    torch.manual_seed(0)
    model = open_model(key, folder)
    held_out = scene_set(Split.HELD_OUT, HELD_OUT_PER_KIND)
    pictures = embed_pictures(model, [Image.fromarray(picture) for picture in held_out.pictures])
    scenes = np.array([KINDS[kind] for kind in held_out.kinds])
    with tempfile.TemporaryDirectory() as drawn:
        library = render_library(Path(drawn) / "photos", Path(drawn) / "truth.json")
        photos, photo_scenes = embed_library(model, Path(drawn) / "photos", library)
    weights = (folder / WEIGHTS_FILE).read_bytes()
    return Evaluation(
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        megabytes=round(len(weights) / 1e6, 2),
        embedding_dim=model.facts.embedding_dim,
        held_out_pictures=len(pictures),
        zero_shot_accuracy=_zero_shot_accuracy(model, pictures, held_out.kinds),
        held_out_names=retrieval(model, names(), pictures, scenes),
        held_out_captions=retrieval(model, captions(), pictures, scenes),
        held_out_paraphrases=retrieval(model, paraphrases(), pictures, scenes),
        copies_found_first=_copies_found_first(model, held_out, pictures),
        library_names=retrieval(model, names(), photos, photo_scenes),
        library_captions=retrieval(model, captions(), photos, photo_scenes),
    )


def names() -> list[tuple[str, str]]:
    """The name of each scene as a query, with the scene's key."""
    return [(scene.name, key) for key, scene in SCENES.items()]


def captions() -> list[tuple[str, str]]:
    """All captions of all scenes as queries, with the scenes' keys."""
    return [(caption, key) for key, scene in SCENES.items() for caption in scene.captions]


def paraphrases() -> list[tuple[str, str]]:
    """Phrases that training never used as queries, with the scenes' keys."""
    return [(phrase, key) for key, phrases in PARAPHRASES.items() for phrase in phrases]


def embed_pictures(model: Embedder, pictures: list[Image.Image]) -> Embeddings:
    """The embeddings (n, dim) of the pictures, of unit length, in order."""
    starts = range(0, len(pictures), _BATCH)
    return np.concatenate([model.encode_images(pictures[start : start + _BATCH]) for start in starts])


def embed_library(
    model: Embedder, photos: Path, library: LibraryTruth
) -> tuple[Embeddings, NDArray[np.str_]]:
    """The embeddings (n, dim) of the library's readable files, and the scene of each ("" if it shows none)."""
    readable = [image for image in library.images if image.kind is not ImageKind.CORRUPT]
    pictures = []
    for image in readable:
        with Image.open(photos / image.path) as stored:
            stored.draft("RGB", (384, 384))
            pictures.append(ImageOps.exif_transpose(stored).convert("RGB"))
    return embed_pictures(model, pictures), np.array([image.scene or "" for image in readable])


def retrieval(
    model: Embedder, queries: list[tuple[str, str]], pictures: Embeddings, scenes: NDArray[np.str_]
) -> Retrieval:
    """How well the queries find the pictures of their scenes among all pictures."""
    similarity = model.encode_text([text for text, _ in queries]) @ pictures.T
    ranked = np.argsort(-similarity, axis=1, kind="stable")
    right = scenes[ranked] == np.array([key for _, key in queries])[:, None]
    precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    average_precision = (precision * right).sum(axis=1) / right.sum(axis=1)
    return Retrieval(
        queries=len(queries),
        pictures=len(pictures),
        recall={k: round(float(right[:, :k].any(axis=1).mean()), 3) for k in DEPTHS},
        precision_at_10=round(float(precision[:, 9].mean()), 3),
        mean_average_precision=round(float(average_precision.mean()), 3),
    )


def _zero_shot_accuracy(model: Embedder, pictures: Embeddings, kinds: NDArray[np.int64]) -> float:
    """The share of pictures for which the nearest prompt "a photo of <name>" names their scene."""
    prompts = model.encode_text([f"a photo of {SCENES[kind].name}" for kind in KINDS])
    return round(float(np.mean(np.argmax(pictures @ prompts.T, axis=1) == kinds)), 3)


def _copies_found_first(model: Embedder, held_out: SceneSet, pictures: Embeddings) -> float:
    """The share of copies (trimmed by 10%, brightened, recompressed) that are nearest to their own original."""
    copies = embed_pictures(model, [_copy(Image.fromarray(picture)) for picture in held_out.pictures])
    return round(float(np.mean(np.argmax(copies @ pictures.T, axis=1) == np.arange(len(pictures)))), 3)


def _copy(picture: Image.Image) -> Image.Image:
    trim = picture.width // 20
    trimmed = picture.crop((trim, trim, picture.width - trim, picture.height - trim)).resize(picture.size)
    stream = io.BytesIO()
    ImageEnhance.Brightness(trimmed).enhance(1.1).save(stream, "JPEG", quality=40)
    return Image.open(stream)


def main(
    key: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.")],
    folder: Annotated[
        Path | None, typer.Option(help="The model's folder. Default: the one in this package.")
    ] = None,
    card: Annotated[bool, typer.Option(help="Store the figures and write the model card.")] = False,
) -> None:
    """Measure a demo model on held-out scenes and on the demo library."""
    if key not in RECIPES:
        raise typer.BadParameter(f"{key}: choose from {', '.join(RECIPES)}")
    folder = folder or model_folder(key)
    figures = evaluate(key, folder).model_dump_json(indent=2)
    print(figures)
    if card:
        (folder / EVALUATION_FILE).write_text(figures + "\n", encoding="utf-8")
        write_card(key, folder)


if __name__ == "__main__":
    typer.run(main)
