"""`photolineage events`: list the events."""

from pathlib import Path
from typing import Annotated

import typer

from photolineage.catalog.engine import reading
from photolineage.cli.app import (
    AsJson,
    Model,
    app,
    chosen_settings,
    known_model,
    open_catalog,
    reported_errors,
)
from photolineage.cli.terminal import console, linked, print_events, print_json
from photolineage.stores.files import open_files
from photolineage.stores.root_folder import StorageError

MOST_COVERS = 200


@app.command()
def events(
    model: Model = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most this many events.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help=f"Write a picture of the newest {MOST_COVERS} covers to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the events of the library, newest first."""
    from photolineage.catalog.listing import list_events
    from photolineage.events.pictures import cover_sheet
    from photolineage.models.registry import require_model
    from photolineage.stores.pictures import save_picture
    from photolineage.stores.previews import PreviewStore

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        key = known_model(settings, engine, model)
        with reading(engine) as connection:
            listed = list_events(connection, require_model(connection, key).id, limit=limit)
        if sheet is not None:
            covers = cover_sheet(engine, PreviewStore(open_files(settings)), listed[:MOST_COVERS])
            if covers is None:
                raise StorageError(
                    f"--sheet {sheet}: no event of model {key} has a cover yet. Run `photolineage run` first"
                )
            save_picture(covers, sheet)
    if as_json:
        print_json({"model": key, "events": listed})
    else:
        print_events(listed)
        if sheet is not None:
            console.print("Contact sheet:", linked(sheet.resolve()))
