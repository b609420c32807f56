"""`photolineage events`: the albums."""

from typing import Annotated

import typer

from cli.app import AsJson, Model, app, known_model, open_catalog, reported_errors
from cli.terminal import print_events, print_json
from resources.settings import load_settings


@app.command()
def events(
    model: Model = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest only.")] = None,
    as_json: AsJson = False,
) -> None:
    """The events of the library, the newest first."""
    from pipeline.listing import list_events
    from pipeline.model_registry import require_model

    with reported_errors(as_json):
        settings = load_settings()
        engine = open_catalog(settings)
        key = known_model(settings, engine, model)
        with engine.connect() as connection:
            listed = list_events(connection, require_model(connection, key).id, limit=limit)
    if as_json:
        print_json({"model": key, "events": listed})
    else:
        print_events(listed)
