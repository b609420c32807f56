"""`photolineage demo`: the lineage over a library that is drawn for it."""

from cli.app import AsJson, app, known_model, open_catalog, reported_errors
from cli.run import run_steps
from cli.terminal import ProgressBars, console, linked, print_json, table
from resources.settings import load_settings


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Draw the demo library, run the lineage over it, and show what came out."""
    from demo.library import render_library
    from demo.showcase import demo_folder, show

    with reported_errors(as_json):
        settings = load_settings()
        folder = demo_folder(settings)
        with ProgressBars(visible=not as_json) as bars:
            truth = render_library(
                folder, folder.with_name("truth.json"), on_progress=bars.counter("Drawing the demo library")
            )
        run_steps(settings, ["demo"], None, as_json)
        engine = open_catalog(settings)
        shown = show(settings, engine, truth, known_model(settings, engine, None))
    if as_json:
        print_json(shown)
        return
    console.print(
        f"\nEvents: {shown.events_found} found by {shown.model_key}, {shown.events_true} in truth "
        "(photolineage events lists them)"
    )
    for query, hits in shown.searches.items():
        rows = [(f"{hit.score:.3f}", hit.scene, linked(hit.path)) for hit in hits]
        console.print(table(f'photolineage search "{query}"', ["score#", "drawn as", "path"], rows))
    console.print("Every asset, partition and check: make ui, then http://127.0.0.1:3000")
