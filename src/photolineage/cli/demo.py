"""`photolineage demo`: the lineage over a library that is drawn for it."""

from photolineage.cli.app import AsJson, app, known_model, open_catalog, reported_errors
from photolineage.cli.run import run_steps
from photolineage.cli.terminal import ProgressBars, console, linked, print_json, table


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Draw the demo library, run the lineage over it, and show what came out."""
    from photolineage.demo.configuration import SOURCE, demo_settings
    from photolineage.demo.library import render_library
    from photolineage.demo.showcase import show

    with reported_errors(as_json):
        settings = demo_settings()
        folder = settings.sources[SOURCE].root
        with ProgressBars(visible=not as_json) as bars:
            truth = render_library(
                folder, folder.with_name("truth.json"), on_progress=bars.counter("Drawing the demo library")
            )
        run_steps(settings, [SOURCE], None, as_json)
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
    console.print("Every asset, partition and check: photolineage ui, then http://127.0.0.1:3000")
