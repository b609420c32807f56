"""`photolineage demo`: try everything on a library of drawn photos."""

import shlex
from pathlib import Path

from photolineage.cli.app import AsJson, app, close, known_model, open_catalog, reported_errors
from photolineage.cli.run import run_steps
from photolineage.cli.terminal import ProgressBars, console, linked, print_json, shown, table
from photolineage.settings import ConfigurationError, find_config_file


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Draw a library of demo photos, process it, and show the events and some searches."""
    from photolineage.demo.configuration import SOURCE, demo_settings
    from photolineage.demo.library import render_library
    from photolineage.demo.showcase import show

    with reported_errors(as_json):
        settings = demo_settings()
        close(settings)
        folder = settings.sources[SOURCE].root
        with ProgressBars(visible=not as_json) as bars:
            truth = render_library(
                folder, folder.with_name("truth.json"), on_progress=bars.counter("Drawing the demo library")
            )
        run_steps(settings, [SOURCE], None, as_json)
        engine = open_catalog(settings)
        showcase = show(settings, engine, truth, known_model(settings, engine, None))
    if as_json:
        print_json(showcase)
        return
    program = "photolineage"
    if not _is_found(settings.config_file):
        program += f" --config {shlex.quote(str(settings.config_file))}"
    console.print(
        shown(
            f"\nEvents: {showcase.events_found} found with {showcase.model_key}; {showcase.events_true} were drawn. "
            f"List them with: {program} events"
        )
    )
    for query, hits in showcase.searches.items():
        rows = [(f"{hit.score:.3f}", hit.scene, linked(hit.path)) for hit in hits]
        console.print(table(f'{program} search "{query}"', ["score#", "drawn scene", "path"], rows))
    console.print(
        shown(f"To see every asset, partition and check: run {program} ui and open http://127.0.0.1:3000")
    )


def _is_found(config_file: Path) -> bool:
    """Whether commands in this folder use the configuration without being told."""
    try:
        return find_config_file() == config_file
    except ConfigurationError:
        return False
