"""A model that may serve next beside the one that serves, on the same images and the same queries."""

from pipeline.comparing.comparison import ComparedQuery, Comparison, NothingToCompareError, compare_models
from pipeline.comparing.figures import ModelFigures
from pipeline.comparing.report import figure_rows, markdown_report, sentences
from pipeline.comparing.sheet import comparison_sheet, shown_images
from pipeline.comparing.variations import Variation

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
