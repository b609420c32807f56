"""`photolineage status`: show the state of the library."""

from typing import Annotated

import typer

from photolineage.catalog.engine import reading
from photolineage.cli.app import AsJson, app, chosen_settings, open_catalog, reported_errors
from photolineage.cli.sources import hints, print_hints
from photolineage.cli.terminal import console, print_json, print_status


@app.command()
def status(
    watch: Annotated[bool, typer.Option(help="Update every two seconds. Stop with Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the images of each source, the models, and jobs that are running or did not succeed."""
    import time
    from dataclasses import asdict

    from photolineage.catalog.listing import library_status

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        while True:
            with reading(engine) as connection:
                current = library_status(connection)
            said = hints(settings, engine)
            if as_json:
                print_json({**asdict(current), "hints": said})
            else:
                if watch:
                    console.clear()
                print_status(current)
                print_hints(said)
            if not watch:
                return
            time.sleep(2)
