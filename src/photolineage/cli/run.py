"""`photolineage run`: bring the library up to date."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from photolineage.catalog.engine import reading, require_reachable
from photolineage.catalog.refusals import require_address_space
from photolineage.cli.app import AsJson, app, chosen_settings, known_model, reported_errors
from photolineage.cli.sources import hints, print_hints
from photolineage.cli.status import figures_of
from photolineage.cli.terminal import ProgressBars, console, errors, print_json, print_status, shown
from photolineage.errors import RunInterruptedError
from photolineage.plain_text import printable
from photolineage.settings import ConfigurationError, Settings, load_settings
from photolineage.steps.add_source import add_source


@app.command()
def run(
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of photos to add as a source. Repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="The key of a model to embed with. Repeatable. Default: the current serving model."
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Read unreadable images again, even if they have not changed."),
    ] = False,
    wait: Annotated[
        bool | None,
        typer.Option(
            "--wait/--no-wait",
            help="If another `photolineage run` works in the same home: wait for it, or exit with code 75. "
            "Default: wait in a terminal.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the library up to date: scan, register, embed, index, find events."""
    with reported_errors(as_json):
        settings = chosen_settings(as_json, or_demo=False)  # the demo's models are of no use for other photos
        sources = [add_source(settings, folder) for folder in photos] if photos else None
        if photos:
            settings = load_settings(settings.config_file)
        run_steps(
            settings, sources or list(settings.sources), model, as_json, retry_failed=retry_failed, wait=wait
        )


def run_steps(
    settings: Settings,
    sources: list[str],
    models: list[str] | None,
    as_json: bool,
    *,
    retry_failed: bool = False,
    wait: bool | None = None,
) -> None:
    from photolineage.catalog.migrate import catalog_revision
    from photolineage.cli.project import run_lineage

    if not sources:
        raise ConfigurationError(
            f"no source is configured. Run `photolineage run --photos <folder>`, or add a [sources.<key>] "
            f"section to {settings.config_name}"
        )
    require_address_space()
    engine = settings.catalog.open_engine()
    require_reachable(engine)
    if models is None:
        with reading(engine) as connection:
            fresh = not catalog_revision(connection).is_current
        first = next(iter(settings.models), None) if fresh else None
        models = [first or known_model(settings, engine, None)]
        settings.model_of(models[0])
    else:
        models = [known_model(settings, engine, key) for key in models]
    said_before = hints(settings, engine)
    if not as_json:
        print_hints(said_before)  # before the photos of a renamed source are read once more
    try:
        with ProgressBars(visible=not as_json) as bars:
            report = run_lineage(
                settings,
                sources,
                models,
                bars,
                retry_failed=retry_failed,
                wait=errors.is_terminal if wait is None else wait,
            )
    except RunInterruptedError as error:
        errors.print(shown(f"Interrupted: {error}. Run the same command again to continue."))
        raise typer.Exit(1) from error
    status = figures_of(settings, engine)
    said_of_sources = hints(settings, engine)
    if as_json:
        print_json(
            {
                "materialized": report.materialized,
                "nothing_to_do": report.nothing_to_do,
                "unavailable": report.unavailable,
                "away": report.away,
                "links": report.links,
                "unreadable": report.unreadable,
                "hints": said_of_sources,
                "status": status,
            }
        )
        return
    for said in (report.unavailable, report.away, report.links, report.unreadable):
        for reason in said.values():
            errors.print(Text.assemble(("Skipped:", "bold yellow"), f" {printable(reason)}"), soft_wrap=True)
    if report.nothing_to_do:
        console.print("Everything is up to date. You don't need to do anything.")
    print_status(status)
    print_hints([hint for hint in said_of_sources if hint not in said_before])
