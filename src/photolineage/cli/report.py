"""`photolineage report`: write the events as an album of HTML pages."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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
from photolineage.cli.terminal import ProgressBars, console, linked, print_json, shown
from photolineage.settings.private_home import umask_of_user


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A new folder, or the folder of an album to update.")],
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Write the events as an album of HTML pages, or update an album."""
    from photolineage.album.write import write_album
    from photolineage.stores.files import open_files
    from photolineage.stores.previews import PreviewStore
    from photolineage.stores.vector_index import VectorIndexes

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        key = known_model(settings, engine, model)
        with ProgressBars(visible=not as_json) as bars, umask_of_user():
            written = write_album(
                engine,
                PreviewStore(open_files(settings)),
                VectorIndexes(settings.home),
                key,
                folder,
                on_pictures=bars.counter("Copying pictures"),
                on_pages=bars.counter("Writing pages", unit="pages"),
            )
    if as_json:
        print_json({"model": key, **asdict(written)})
        return
    for name, changes in (("Pages", written.pages), ("Pictures", written.pictures)):
        console.print(
            shown(
                f"{name}: {changes.written:,} written, {changes.unchanged:,} unchanged, {changes.removed:,} removed"
            )
        )
    console.print(f"{written.events:,} events, {written.images:,} images:", linked(written.first_page))
