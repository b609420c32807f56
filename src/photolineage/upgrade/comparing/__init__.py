"""Compares a candidate with the current serving model, on the same images and queries."""

from photolineage.upgrade.comparing.comparison import (
    ComparedQuery,
    Comparison,
    NothingToCompareError,
    compare_models,
)
from photolineage.upgrade.comparing.contact_sheet import comparison_sheet, shown_images
from photolineage.upgrade.comparing.figures import ModelFigures
from photolineage.upgrade.comparing.variations import Variation
from photolineage.upgrade.comparing.wording import figure_rows, markdown_report, sentences

__all__ = [
    "ComparedQuery",
    "Comparison",
    "ModelFigures",
    "NothingToCompareError",
    "Variation",
    "compare_models",
    "comparison_sheet",
    "figure_rows",
    "markdown_report",
    "sentences",
    "shown_images",
]
