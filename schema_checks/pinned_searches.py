"""The check `pinned_searches`: the photos that a model must find, with pictures of what it finds in their place."""

from pathlib import PurePath
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
)
from sqlalchemy import Engine

from photolineage.settings import Settings
from resources.home import StorageResource

if TYPE_CHECKING:
    from photolineage.pins.judging import PinReport

PINNED_SEARCHES = "pinned_searches"
DESCRIPTION = (
    "The model finds the photo of every pinned search (`photolineage pin`). The check fails if the serving model finds "
    "a photo and this model does not: then `promote_model` refuses the model. A photo that the serving model does not "
    "find either, or that this model has not embedded yet, is a warning."
)


def pinned_searches_result(
    engine: Engine, storage: StorageResource, settings: Settings, model_key: str
) -> AssetCheckResult:
    """The result for one model. Loads no model if no search is pinned. Raises PinError."""
    from photolineage.pins.judging import Verdict, judge_pins
    from photolineage.pins.wording import summary

    report = judge_pins(settings, engine, model_key)
    lost = report.having(Verdict.LOST)
    troubled = report.having(Verdict.LOST, Verdict.NOT_FOUND, Verdict.UNCHECKED)
    metadata: dict[str, MetadataValue] = {
        "partition": MetadataValue.text(model_key),
        "pins": MetadataValue.int(len(report.pins)),
        "lost": MetadataValue.int(len(lost)),
    }
    if report.pins:
        metadata["pinned_searches"] = _table(report)
    if missed := _missed(engine, storage, report):
        metadata["hits_in_place"] = MetadataValue.md(missed)
    return AssetCheckResult(
        passed=not troubled,
        severity=AssetCheckSeverity.ERROR if lost else AssetCheckSeverity.WARN,
        description=summary(report, as_markdown=True),
        metadata=metadata,
    )


def _table(report: "PinReport") -> MetadataValue:
    """Not Markdown: it contains searches and paths.

    The name of a photo comes before its folder: Dagster breaks no line within a path, and a wide table would push the
    result of each search out of the window.
    """
    from photolineage.pins.wording import columns, rows

    names = [name.rstrip("#") for name in columns(report)]
    found = [dict(zip(names, row, strict=True)) for row in rows(report)]
    for row in found:
        path = PurePath(row["photo"])
        row["photo"] = f"{path.name} in {path.parent}"
    return MetadataValue.table(
        [TableRecord(row) for row in found],
        TableSchema([TableColumn(name, "string") for name in names]),
    )


def _missed(engine: Engine, storage: StorageResource, report: "PinReport") -> str | None:
    from photolineage.pins.pictures import missed_photos, shown_images
    from photolineage.stores.pictures import read_previews

    return missed_photos(report, read_previews(engine, storage.previews, shown_images(report)))
