"""`photolineage search`: images by text, by picture, by likeness."""

from pathlib import Path
from typing import Annotated

import typer

from cli.app import AsJson, Model, app, known_model, open_catalog, reported_errors
from cli.terminal import console, errors, linked, print_json, table
from resources.settings import load_settings


@app.command()
def search(
    text: Annotated[str | None, typer.Argument(help="What to look for, in words.")] = None,
    image: Annotated[Path | None, typer.Option(help="Look for what resembles this image file.")] = None,
    image_id: Annotated[
        int | None, typer.Option(help="Look for what resembles this image of the library.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many images.")] = 10,
    model: Model = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the hits as a contact sheet picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find images by text, by an image file, or by an image of the library."""
    from pipeline.finding import find_images

    with reported_errors(as_json):
        settings = load_settings()
        engine = open_catalog(settings)
        key = known_model(settings, engine, model)
        found = find_images(settings, engine, key, text=text, image=image, image_id=image_id, k=k)
        if sheet is not None:
            found.write_sheet(sheet)
    if as_json:
        print_json({"model": key, "notes": found.notes, "hits": found.hits})
        return
    for note in found.notes:
        errors.print(f"Note: {note}")
    console.print(
        table(
            f"{len(found.hits)} images by {key}",
            ["score#", "image#", "taken", "path"],
            [
                (
                    f"{hit.score:.3f}",
                    hit.image_id,
                    f"{hit.taken_at:%Y-%m-%d %H:%M}" if hit.taken_at else "",
                    linked(hit.path),
                )
                for hit in found.hits
            ],
        )
    )
    if sheet is not None:
        console.print(f"Contact sheet: {linked(sheet.resolve())}")
