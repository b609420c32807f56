"""`photolineage status`: show the state of the library."""

from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Engine

from photolineage.cli.app import AsJson, app, chosen_settings, open_catalog, reported_errors
from photolineage.cli.sources import hints, print_hints
from photolineage.cli.terminal import console, print_json, print_status
from photolineage.settings import Settings

if TYPE_CHECKING:
    from photolineage.steps.library_status import LibraryFigures


@app.command()
def status(
    watch: Annotated[bool, typer.Option(help="Update every two seconds. Stop with Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far each step is, what is stale and why, the models, and jobs that are running or did not succeed."""
    import time
    from dataclasses import asdict

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        said = hints(settings, engine)
        while True:
            current = figures_of(settings, engine)
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


def figures_of(settings: Settings, engine: Engine) -> "LibraryFigures":
    """The state of the library that these settings name."""
    from photolineage.steps.library_status import library_figures
    from photolineage.stores.files import open_files
    from photolineage.stores.vector_index import VectorIndexes

    return library_figures(engine, settings, open_files(settings), VectorIndexes(settings.home))
