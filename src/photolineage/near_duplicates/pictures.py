"""Contact sheets of near-duplicates: a row for each group, the best picture first."""

from collections.abc import Sequence

from PIL import Image as PillowImage
from sqlalchemy import Engine

from photolineage.near_duplicates.review import Candidate, NearDuplicates
from photolineage.stores.pictures import BACKGROUND, Picture, contact_sheet, read_previews
from photolineage.stores.previews import PreviewStore


def review_sheet(
    engine: Engine, previews: PreviewStore, groups: Sequence[NearDuplicates]
) -> PillowImage.Image | None:
    """The groups below each other, with their numbers from 1; None if no image has a preview."""
    wanted = [image.image_id for group in groups for image in (group.best, *group.others)]
    jpegs = read_previews(engine, previews, wanted)
    sheets = []
    for number, group in enumerate(groups, 1):
        captioned = [(group.best, f"{number}: best"), *((other, f"{number}") for other in group.others)]
        pictures = [
            Picture(jpegs[image.image_id], _caption(image, label))
            for image, label in captioned
            if image.image_id in jpegs
        ]
        if pictures:
            sheets.append(contact_sheet(pictures))
    return _below_each_other(sheets) if sheets else None


def _caption(image: Candidate, label: str) -> str:
    facts = f"{image.width} × {image.height} {image.format}, {image.size_bytes / 1e6:,.2f} MB"
    return f"{label}  {image.path.name}  {facts}"


def _below_each_other(sheets: Sequence[PillowImage.Image]) -> PillowImage.Image:
    size = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    whole = PillowImage.new("RGB", size, BACKGROUND)
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole
