"""`photolineage status`: what is there and what runs."""

from typing import Annotated

import typer

from cli.app import AsJson, app, open_catalog, reported_errors
from cli.terminal import console, print_json, print_status
from resources.settings import load_settings


@app.command()
def status(
    watch: Annotated[bool, typer.Option(help="Show it again every two seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Images by source, models, and the jobs that run or did not succeed."""
    import time

    from pipeline.listing import library_status

    with reported_errors(as_json):
        engine = open_catalog(load_settings())
        while True:
            with engine.connect() as connection:
                current = library_status(connection)
            if as_json:
                print_json(current)
            else:
                if watch:
                    console.clear()
                print_status(current)
            if not watch:
                return
            time.sleep(2)
