"""`photolineage models`: what was measured of each model on each machine, and measuring it anew."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from photolineage.cli.app import AsJson, app, chosen_settings, known_model, open_catalog, reported_errors
from photolineage.cli.terminal import ProgressBars, console, print_json, shown, table
from photolineage.settings import Settings

if TYPE_CHECKING:
    from photolineage.models.timings import MeasuredWay


@app.command()
def models(
    model: Annotated[
        str | None, typer.Option("--model", help="The key of a model. Default: all models.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the configured models anew on this machine.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the models, how fast each machine computes them in each precision, and what it uses.

    A model is measured when a machine loads it for the first time. Measure it anew if the machine was changed.
    """
    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        if measure:
            keys = list(settings.models) if model is None else [known_model(settings, engine, model)]
            _measure(settings, engine, keys, visible=not as_json)
        found = [one for one in _measured_models(engine) if model in (None, one["key"])]
        if model is not None and not found:
            known_model(settings, engine, model)  # a key that is not configured either is a mistake
    if as_json:
        print_json({"models": found})
        return
    if not found:
        unloaded = "No model was loaded yet" if model is None else f"The model {model} was not loaded yet"
        console.print(shown(f"{unloaded}. The first run that embeds photos with it loads and measures it."))
    for one in found:
        _print_model(one)


def _measure(settings: Settings, engine: Engine, keys: Sequence[str], *, visible: bool) -> None:
    from photolineage.models.loading import measure_model
    from photolineage.stores.files import open_files
    from photolineage.stores.previews import PreviewStore

    previews = PreviewStore(open_files(settings))
    with ProgressBars(visible=visible) as bars:
        for key in keys:
            advance = bars.counter(f"Measuring {key}", unit="ways to compute it")
            measure_model(engine, previews, key, settings.models[key], advance)


def _measured_models(engine: Engine) -> list[dict[str, Any]]:
    """The models of the catalog, each with what was measured on each machine, as JSON has them."""
    from photolineage.catalog.engine import reading
    from photolineage.catalog.queries import all_models
    from photolineage.models.timings import list_timings

    with reading(engine) as connection:
        rows, timings = all_models(connection), list_timings(connection)
    return [
        {
            "key": row.key,
            "weights_digest": row.weights_digest,
            "precision": row.precision,
            "serving": row.serving,
            "measured": [
                {"machine": one.machine, "measured_at": one.measured_at, "ways": one.ways()}
                for one in timings
                if one.model == row.key
            ],
        }
        for row in rows
    ]


def _print_model(model: dict[str, Any]) -> None:
    described = f"{model['key']}: embeddings in {model['precision']}, digest {model['weights_digest'][:16]}"
    if not model["measured"]:
        console.print(shown(f"{described}, not measured yet"))
    for one in model["measured"]:
        console.print(
            table(
                f"{described}; measured {one['measured_at']:%Y-%m-%d %H:%M} UTC on {one['machine']}",
                [
                    "precision",
                    "backend",
                    "images per second#",
                    "ms per image and core#",
                    "cosine with float32#",
                    "ten nearest in common#",
                    "",
                ],
                [_cells(way) for way in one["ways"]],
            )
        )


def _cells(way: "MeasuredWay") -> tuple[object, ...]:
    chosen = Text("used", "bold green") if way.is_used else way.problem or ""
    return (
        way.precision,
        way.backend,
        "" if way.images_per_second is None else f"{way.images_per_second:,.1f}",
        "" if way.milliseconds is None else f"{way.milliseconds:,.{1 if way.milliseconds >= 10 else 2}f}",
        "" if way.cosine is None else f"{way.cosine:.5f}",
        "" if way.neighbors is None else f"{way.neighbors:.0%}",
        chosen,
    )
