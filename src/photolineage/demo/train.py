"""Train a demo model: `python -m photolineage.demo.train demo-clip-v2 --out DIR`.

As in SLIP (Mu et al., 2021, arXiv:2112.12750), there are two contrastive losses: between pictures and captions, and
between two views of each picture, so that copies of a picture find each other.
"""

import json
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from photolineage.demo.architectures import CONFIG_FILE, RECIPES, WEIGHTS_FILE, Recipe, model_folder
from photolineage.demo.dataset import KINDS, SIDE, SceneSet, Split, scene_set
from photolineage.demo.records import TRAINING_FILE, Training
from photolineage.demo.scenes import caption

if TYPE_CHECKING:
    import torch

SEED = 3
GROUPS = 3
"""Pictures of each kind in a batch. A group has one picture of each kind; captions are contrasted within it."""

VIEW_LOSS_WEIGHT = 0.4
WARM_UP_STEPS = 60
WEIGHT_DECAY = 0.05
THREADS = 2


def train(key: str, out: Path) -> None:
    """Train the model from a fixed seed, and write it to `out` as float16 in open_clip's local-dir format."""
    import torch

    recipe = RECIPES[key]
    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    scenes = scene_set(Split.TRAIN, recipe.pictures_per_kind)
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG_FILE).write_text(json.dumps(recipe.config, indent=2) + "\n")
    started = time.perf_counter()
    model, loss = _fitted(recipe, scenes, out)
    _save(model, out / WEIGHTS_FILE)
    training = Training(
        seed=SEED,
        steps=recipe.steps,
        batch=GROUPS * len(KINDS),
        pictures=len(scenes.kinds),
        learning_rate=recipe.learning_rate,
        view_loss_weight=VIEW_LOSS_WEIGHT,
        final_loss=round(loss, 3),
        seconds=round(time.perf_counter() - started),
        threads=THREADS,
        torch=version("torch"),
        open_clip=version("open_clip_torch"),
    )
    (out / TRAINING_FILE).write_text(training.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _fitted(recipe: Recipe, scenes: SceneSet, out: Path) -> tuple[Any, float]:
    """The trained model and its mean loss over the last 100 steps."""
    import open_clip
    import torch
    from rich.progress import Progress

    model = open_clip.CLIP(**recipe.model, output_dict=True)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    optimizer = torch.optim.AdamW(_parameter_groups(model), lr=recipe.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_cosine(step, recipe.steps))
    losses: list[float] = []
    with Progress() as progress:
        task = progress.add_task("Training", total=recipe.steps)
        for pictures, captions in _batches(scenes, recipe.steps):
            first, second = (_view(pictures, recipe.image_size) for _ in range(2))
            loss = _loss(model, first, second, tokenizer(captions))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, float(np.log(100)))
            losses.append(loss.item())
            progress.update(task, advance=1, description=f"loss {np.mean(losses[-50:]):.3f}")
    return model.eval(), float(np.mean(losses[-100:]))


def _loss(
    model: Any, first: "torch.Tensor", second: "torch.Tensor", tokens: "torch.Tensor"
) -> "torch.Tensor":
    """The loss between pictures and captions within each group, plus the weighted loss between the two views."""
    import open_clip
    import torch

    contrast = open_clip.ClipLoss()
    output = model(first, tokens)
    seen_again = model.encode_image(second, normalize=True)
    scale = output["logit_scale"]
    groups = zip(output["image_features"].chunk(GROUPS), output["text_features"].chunk(GROUPS), strict=True)
    said = torch.stack([contrast(images, texts, scale) for images, texts in groups])
    seen: torch.Tensor = contrast(output["image_features"], seen_again, scale)
    return said.mean() + VIEW_LOSS_WEIGHT * seen


def _batches(scenes: SceneSet, steps: int) -> Iterator[tuple["torch.Tensor", list[str]]]:
    """Batches of 8-bit pictures (n, 3, side, side) with a caption for each: `GROUPS` groups of every kind."""
    import torch

    rng = np.random.default_rng(SEED)
    rows = [np.flatnonzero(scenes.kinds == kind) for kind in range(len(KINDS))]
    for _ in range(steps):
        chosen = np.stack([rng.choice(own, GROUPS, replace=False) for own in rows], axis=1).ravel()
        pictures = torch.from_numpy(scenes.pictures[chosen]).permute(0, 3, 1, 2)
        yield pictures, [caption(KINDS[scenes.kinds[row]], rng) for row in chosen]


def _view(pictures: "torch.Tensor", side: int) -> "torch.Tensor":
    """A random variant of each picture: cropped, slightly turned, relit and noisy. Values are in [-1, 1]."""
    import torch
    from torch.nn import functional

    count = len(pictures)
    zoom = 1 - 0.4 * torch.rand(count) ** 1.5
    turn = torch.randn(count) * 0.03
    shift = (torch.rand(count, 2) * 2 - 1) * (1 - zoom)[:, None]
    stretch = 1 + (torch.rand(count) - 0.5) * 0.12
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 0, 1] = zoom * stretch * turn.cos(), -zoom * turn.sin()
    affine[:, 1, 0], affine[:, 1, 1] = zoom * turn.sin(), zoom * turn.cos()
    affine[:, :, 2] = shift
    grid = functional.affine_grid(affine, [count, 3, SIDE, SIDE], align_corners=False)
    cropped = functional.grid_sample(
        pictures.float() / 127.5 - 1, grid, padding_mode="reflection", align_corners=False
    )
    scaled = functional.interpolate(
        cropped, size=(side, side), mode="bicubic", antialias=True, align_corners=False
    )
    contrast = 1 + torch.randn(count, 1, 1, 1) * 0.12
    brightness = torch.randn(count, 1, 1, 1) * 0.1 + torch.randn(count, 3, 1, 1) * 0.04
    return scaled * contrast + brightness + torch.randn_like(scaled) * (0.03 * torch.rand(count, 1, 1, 1))


def _parameter_groups(model: Any) -> list[dict[str, Any]]:
    """Apply weight decay only to matrices, not to gains, biases, embeddings and the logit scale."""
    named = dict(model.named_parameters())
    decayed = {name for name, value in named.items() if value.ndim >= 2 and "embedding" not in name}
    return [
        {"params": [named[name] for name in named if name in decayed], "weight_decay": WEIGHT_DECAY},
        {"params": [named[name] for name in named if name not in decayed], "weight_decay": 0.0},
    ]


def _warm_cosine(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return warm * 0.5 * (1 + float(np.cos(np.pi * step / steps)))


def _save(model: Any, path: Path) -> None:
    import torch
    from safetensors.torch import save

    halves = {
        name: value.half().contiguous() if value.dtype == torch.float32 else value.contiguous()
        for name, value in model.state_dict().items()
    }
    path.write_bytes(save(halves, metadata={"format": "pt"}))


def main(
    key: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder to write the model to. Default: the one in this package.")
    ] = None,
) -> None:
    """Train a demo model on drawn scenes."""
    if key not in RECIPES:
        raise typer.BadParameter(f"{key}: choose from {', '.join(RECIPES)}")
    train(key, out or model_folder(key))


if __name__ == "__main__":
    typer.run(main)
