"""The comparison as tables and sentences, for the person who decides."""

from pathlib import Path

from photolineage.plain_text import cell_code
from photolineage.settings.sections import LOCAL_DIRECTORY
from photolineage.upgrade.comparing.comparison import Comparison
from photolineage.upgrade.comparing.figures import NEIGHBOURS, ModelFigures
from photolineage.upgrade.comparing.variations import Variation


def figure_rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Rows of: what is compared, the figure of the serving model, the figure of the candidate."""
    old, new = comparison.serving, comparison.candidate
    columns = [_column(figures, comparison.embeddable) for figures in (old, new)]
    return [(name, columns[0][name], columns[1][name]) for name in columns[0]]


def markdown_report(comparison: Comparison) -> str:
    """A Markdown table of the figures, and sentences that explain them."""
    old, new = comparison.serving, comparison.candidate
    table = [
        f"| | {old.model_key} (serving) | {new.model_key} |",
        "| --- | --- | --- |",
        *(f"| {name} | {cell_code(a)} | {cell_code(b)} |" for name, a, b in figure_rows(comparison)),
    ]
    return "\n".join(table) + "\n\n" + "\n\n".join(sentences(comparison))


def sentences(comparison: Comparison) -> list[str]:
    """Sentences that explain the figures and say what to do next."""
    old, new = comparison.serving, comparison.candidate
    if new.images < comparison.embeddable:
        next_step = (
            f"{new.model_key} cannot serve yet: {comparison.embeddable - new.images:,} images are not in its index. "
            "Materialize its missing partitions of image_embeddings, then vector_index."
        )
    else:
        next_step = (
            f"To promote: launch the job promote_model with `model: {new.model_key}`; it refuses a model that loses "
            f"pinned searches. To go back: launch it with `model: {old.model_key}`."
        )
    return [
        (
            f"Over a sample of {comparison.sample:,} images, the models share {comparison.neighbours_in_common:.0%} of "
            f"an image's {NEIGHBOURS} nearest neighbours, and choose the same of the {len(comparison.queries)} texts "
            f"for {comparison.labels_in_common:.0%} of the images. They share {comparison.hits_in_common:.0%} of a "
            f"text's {NEIGHBOURS} hits."
        ),
        (
            "The models may disagree without either being wrong: look at the contact sheet to see which one is "
            "right. But a near-duplicate that does not find its original is an error of the model."
        ),
        next_step,
    ]


def _column(figures: ModelFigures, embeddable: int) -> dict[str, str]:
    return {
        "architecture": _short(figures.architecture),
        "images in the index": f"{figures.images:,} of {embeddable:,}",
        **{
            f"near-duplicates found first: {variation}": _share(
                figures.found_first[variation], figures.varied
            )
            for variation in Variation
        },
        f"near-duplicates among the first {NEIGHBOURS}": _share(
            sum(figures.found.values()), figures.varied * len(Variation)
        ),
        "images/s in this run": f"{figures.images_per_second:,.1f}",
        "dimension": f"{figures.embedding_dim:,}",
        "image size": f"{figures.image_size:,}",
        "parameters": f"{figures.parameters / 1e6:,.1f} million",
        "embeddings": f"{figures.embedding_bytes / 1e6:,.1f} MB",
        "index": f"{figures.index_bytes / 1e6:,.1f} MB",
    }


def _short(architecture: str) -> str:
    """The architecture; of a local folder, only the folder's name."""
    folder = architecture.removeprefix(LOCAL_DIRECTORY)
    return architecture if folder == architecture else f"{LOCAL_DIRECTORY}{Path(folder).name}"


def _share(count: int, of: int) -> str:
    return f"{count:,} of {of:,}" + (f" ({count / of:.1%})" if of else "")
