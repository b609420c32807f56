"""The answer about a photo of a small library, by stage."""

from collections.abc import Mapping

from photolineage.explain.answer import Explanation, explain_photo
from photolineage.explain.findings import Finding
from photolineage.settings import Settings
from tests.library import Library


def explain(
    library: Library, asked: str, *, settings: Settings | None = None, **options: object
) -> Explanation:
    """The one answer about a photo. A relative path is below the source."""
    (explained,) = explain_photo(settings or library.settings, library.engine, asked, **options)  # type: ignore[arg-type]
    return explained


def findings(library: Library, asked: str, **options: object) -> Mapping[str, Finding]:
    """The rows of the one answer about a photo, by their stage."""
    explained = explain(library, asked, **options)  # type: ignore[arg-type]
    by_stage = {finding.stage: finding for finding in explained.findings}
    assert len(by_stage) == len(explained.findings)
    return by_stage


def states(library: Library, asked: str, **options: object) -> dict[str, str]:
    """The state of a photo in each stage."""
    return {stage: finding.state for stage, finding in findings(library, asked, **options).items()}
