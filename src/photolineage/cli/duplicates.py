"""`photolineage duplicates`: one picture in several sizes or compressions, to review."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photolineage.cli.app import (
    AsJson,
    Model,
    app,
    chosen_settings,
    known_model,
    open_catalog,
    reported_errors,
)
from photolineage.cli.terminal import console, errors, linked, print_json, shown, table
from photolineage.stores.files import open_files
from photolineage.stores.root_folder import StorageError

if TYPE_CHECKING:
    from photolineage.near_duplicates.review import NearDuplicates


@app.command()
def duplicates(
    model: Model = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many groups.")] = 50,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture of the groups to this file, a row for each.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List near-duplicates to review: one picture in several sizes or compressions. Nothing is deleted.

    The first image of each group is the best. LOST says what you would lose if you kept only that one.
    """
    from photolineage.near_duplicates.pictures import review_sheet
    from photolineage.near_duplicates.review import find_near_duplicates
    from photolineage.stores.pictures import save_picture
    from photolineage.stores.previews import PreviewStore

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        key = known_model(settings, engine, model)
        review = find_near_duplicates(settings, engine, key)
        groups = review.groups[:limit]
        if sheet is not None:
            pictures = review_sheet(engine, PreviewStore(open_files(settings)), groups)
            if pictures is None:
                raise StorageError(f"--sheet {sheet}: there are no near-duplicates with a preview to draw")
            save_picture(pictures, sheet)
    if as_json:
        print_json({"model": key, "total": len(review.groups), "unhashed": review.unhashed, "groups": groups})
        return
    if review.unhashed:
        errors.print(
            shown(
                f"Note: {review.unhashed:,} images were read by an older version, and cannot be compared. They can be "
                "once they are read again"
            )
        )
    _print_groups(groups, len(review.groups), key)
    if sheet is not None:
        console.print("Contact sheet:", linked(sheet.resolve()))


def _print_groups(groups: "list[NearDuplicates]", total: int, model_key: str) -> None:
    any_lost = any(image.lost for group in groups for image in group.others)
    rows = [
        (
            number if image is group.best else "",
            "best" if image is group.best else f"{image.cosine:.3f}",
            image.image_id,
            f"{image.width} × {image.height}",
            image.format,
            f"{image.size_bytes / 1e6:,.2f}",
            linked(image.path),
            *([", ".join(image.lost)] if any_lost else []),
        )
        for number, group in enumerate(groups, 1)
        for image in (group.best, *group.others)
    ]
    if not groups:
        console.print(shown(f"No near-duplicates found with {model_key}."))
        return
    title = f"{total:,} group{'' if total == 1 else 's'} of near-duplicates found with {model_key}"
    if total > len(groups):
        title += f"; the first {len(groups):,}"
    columns = [
        "group#",
        "likeness#",
        "image#",
        "pixels#",
        "format",
        "MB#",
        "path",
        *(["lost"] if any_lost else []),
    ]
    console.print(table(title, columns, rows))
