"""Write a demo model's card from the records of its training and its evaluation."""

import textwrap
from pathlib import Path

from photolineage.demo.architectures import RECIPES
from photolineage.demo.records import EVALUATION_FILE, TRAINING_FILE, Evaluation, Retrieval, Training
from photolineage.demo.scenes import SCENES

CARD_FILE = "README.md"


def write_card(key: str, folder: Path) -> None:
    """Write the folder's card from its two records. Raises FileNotFoundError if one is missing."""
    training = Training.model_validate_json((folder / TRAINING_FILE).read_bytes())
    evaluation = Evaluation.model_validate_json((folder / EVALUATION_FILE).read_bytes())
    (folder / CARD_FILE).write_text(card_text(key, training, evaluation), encoding="utf-8")


def card_text(key: str, training: Training, figures: Evaluation) -> str:
    """The card in Markdown, with the metadata block that model hubs read."""
    model = RECIPES[key].model
    vision = model["vision_cfg"]
    tower = "ResNet" if isinstance(vision["layers"], list) else "vision transformer"
    known = textwrap.fill(", ".join(scene.name for scene in SCENES.values()), 110)
    return f"""---
license: apache-2.0
library_name: open_clip
pipeline_tag: zero-shot-image-classification
---

# {key}

A CLIP model of {figures.megabytes} MB for Photolineage's demo, which runs at once and without a network:
{RECIPES[key].purpose}.
It knows only the {len(SCENES)} kinds of scene that the demo draws: **do not use it for your own photos**.
For those, Photolineage uses a published model.

| | |
| --- | --- |
| vision tower | {tower}, {vision["image_size"]} × {vision["image_size"]} pixels |
| text tower | {model["text_cfg"]["layers"]} layers, width {model["text_cfg"]["width"]}, CLIP's byte-pair tokenizer |
| embedding | {figures.embedding_dim} dimensions |
| weights | float16 safetensors, {figures.megabytes} MB |
| SHA-256 of the weights | `{figures.weights_sha256}` |
| licence | Apache-2.0, for the weights and for the code that draws the training pictures |

```python
folder = "local-dir:src/photolineage/demo/models/{key}"
model, preprocess = open_clip.create_model_from_pretrained(folder)
tokenizer = open_clip.get_tokenizer(folder)
```

## What it knows
It knows drawings of these scenes (see `photolineage/demo/scenes`), and the words that people use for them:
{known}.

Its embeddings of other pictures and texts are meaningless: training used only a few words of the vocabulary.

## How it was trained
`python -m photolineage.demo.train {key}`: {training.steps:,} steps on {training.pictures:,} drawn pictures.
None of them is among the held-out pictures or in the demo library. A batch holds {training.batch} pictures,
{training.batch // len(SCENES)} of each kind. The loss is open_clip's contrastive loss between pictures and captions,
among pictures of different kinds, plus {training.view_loss_weight} times the same loss between two augmented views of
each picture, as in SLIP (Mu et al., 2021, arXiv:2112.12750). AdamW, learning rate {training.learning_rate}, cosine
schedule, seed {training.seed}. It took {training.seconds} s on {training.threads} processor threads
(torch {training.torch}, open_clip {training.open_clip}) and ended at a loss of {training.final_loss}.

## How good it is
Measured by `python -m photolineage.demo.evaluate {key}`. The held-out pictures are {figures.held_out_pictures} new
drawings, {figures.held_out_pictures // len(SCENES)} of each kind.

| on held-out pictures | |
| --- | --- |
| zero-shot accuracy among {len(SCENES)} kinds ("a photo of …") | {figures.zero_shot_accuracy:.1%} |
| a trimmed, brightened, recompressed copy finds its original first | {figures.copies_found_first:.1%} |

A picture is a correct hit if it shows the scene that the text names. Training used the captions, but not the
paraphrases.

| text to image | queries | pictures | recall@1 | recall@5 | recall@10 | precision@10 | mAP |
| --- | --- | --- | --- | --- | --- | --- | --- |
{_row("held-out, by the scene's name", figures.held_out_names)}
{_row("held-out, by caption", figures.held_out_captions)}
{_row("held-out, by paraphrase", figures.held_out_paraphrases)}
{_row("demo library, by the scene's name", figures.library_names)}
{_row("demo library, by caption", figures.library_captions)}
"""


def _row(title: str, result: Retrieval) -> str:
    shares = [*(result.recall[k] for k in (1, 5, 10)), result.precision_at_10, result.mean_average_precision]
    return (
        f"| {title} | {result.queries} | {result.pictures} | " + " | ".join(f"{s:.1%}" for s in shares) + " |"
    )
