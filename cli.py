"""`photolineage …`: the lineage, search and the library's state from a terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy import Engine

from catalog.engine import CatalogUnreachableError, create_catalog_engine, explained_errors, require_reachable
from catalog.migrate import UnmigratedCatalogError, catalog_revision, require_current
from catalog.queries import serving_model_key
from resources.settings import ConfigurationError, Settings, add_source, load_settings
from terminal import (
    ProgressBars,
    console,
    errors,
    linked,
    print_events,
    print_json,
    print_status,
    printable,
    table,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Folders of photographs as searchable embeddings and event albums.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[str | None, typer.Option("--model", help="A model's key; the serving one if left out.")]


def main() -> None:
    """The entry point: exit code 0 if all went well, 1 with a message otherwise."""
    app()


def _fail(message: object, as_json: bool = False) -> NoReturn:
    if as_json:
        print_json({"error": str(message)})
    errors.print(f"[bold red]Error:[/] {str(message).replace('[', chr(92) + '[')}", soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def _reported_errors(as_json: bool) -> Iterator[None]:
    """The errors that a person can mend, as one message and exit code 1."""
    from pipeline.model_registry import ModelNotLoadedError
    from pipeline.search import QueryError
    from resources.embedder import ModelUnavailableError
    from resources.file_store import StorageError
    from resources.vector_index import VectorIndexError

    try:
        yield
    except (
        ConfigurationError,
        CatalogUnreachableError,
        UnmigratedCatalogError,
        ModelNotLoadedError,
        ModelUnavailableError,
        QueryError,
        StorageError,
        VectorIndexError,
    ) as error:
        _fail(error, as_json)


def _catalog(settings: Settings) -> Engine:
    engine = create_catalog_engine(settings.catalog.url)
    require_reachable(engine)
    require_current(engine)
    return engine


def _known_model(settings: Settings, engine: Engine, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in settings.models:
            from resources.model_names import closest

            raise ConfigurationError(
                f"--model {wanted!r} is not configured; {closest(wanted, settings.models) or 'none is'}"
            )
        return wanted
    with engine.connect() as connection:
        serving = serving_model_key(connection)
    if serving is not None:
        return serving
    if not settings.models:
        raise ConfigurationError(
            f"no model is configured. Add a [models.<key>] section to {settings.config_file}"
        )
    return next(iter(settings.models))


@app.command()
def run(
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of photos, added as a source; may be given several times."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model's key; may be given several times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the library up to date: scan, register, embed, index, find events."""
    with _reported_errors(as_json):
        settings = load_settings()
        sources = [add_source(settings, folder) for folder in photos] if photos else None
        if photos:
            settings = load_settings()
        _run(settings, sources or list(settings.sources), model, as_json)


def _run(settings: Settings, sources: list[str], models: list[str] | None, as_json: bool) -> None:
    from lineage_run import RunInterruptedError, StepFailedError, run_lineage
    from pipeline.listing import library_status

    if not sources:
        raise ConfigurationError(
            f"no source is configured. Run `photolineage run --photos <folder>`, or add a [sources.<key>] "
            f"section to {settings.config_file}"
        )
    engine = create_catalog_engine(settings.catalog.url)
    require_reachable(engine)
    if models is None:
        with engine.connect() as connection:
            fresh = not catalog_revision(connection).is_current
        models = (
            [next(iter(settings.models))]
            if fresh and settings.models
            else [_known_model(settings, engine, None)]
        )
    else:
        models = [_known_model(settings, engine, key) for key in models]
    try:
        with ProgressBars(visible=not as_json) as bars:
            report = run_lineage(settings, sources, models, bars)
    except StepFailedError as error:
        _fail(error, as_json)
    except RunInterruptedError as error:
        errors.print(f"Interrupted: {error}. Run the same command again to continue.")
        raise typer.Exit(1) from error
    with engine.connect() as connection:
        status = library_status(connection)
    if as_json:
        print_json(
            {"materialized": report.materialized, "nothing_to_do": report.nothing_to_do, "status": status}
        )
        return
    if report.nothing_to_do:
        console.print("Nothing to do: everything is up to date.")
    print_status(status)


@app.command()
def status(
    watch: Annotated[bool, typer.Option(help="Show it again every two seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Images by source, models, and the jobs that run or did not succeed."""
    import time

    from pipeline.listing import library_status

    with _reported_errors(as_json):
        engine = _catalog(load_settings())
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


@app.command()
def search(
    text: Annotated[str | None, typer.Argument(help="What to look for, in words.")] = None,
    image: Annotated[Path | None, typer.Option(help="Look for what resembles this image file.")] = None,
    image_id: Annotated[
        int | None, typer.Option(help="Look for what resembles this image of the library.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many images.")] = 10,
    model: Model = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the hits as a contact sheet picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find images by text, by an image file, or by an image of the library."""
    from pipeline.finding import find_images

    with _reported_errors(as_json):
        settings = load_settings()
        engine = _catalog(settings)
        key = _known_model(settings, engine, model)
        found = find_images(settings, engine, key, text=text, image=image, image_id=image_id, k=k)
        if sheet is not None:
            found.write_sheet(sheet)
    if as_json:
        print_json({"model": key, "notes": found.notes, "hits": found.hits})
        return
    for note in found.notes:
        errors.print(f"Note: {note}")
    console.print(
        table(
            f"{len(found.hits)} images by {key}",
            ["score#", "image#", "taken", "path"],
            [
                (
                    f"{hit.score:.3f}",
                    hit.image_id,
                    f"{hit.taken_at:%Y-%m-%d %H:%M}" if hit.taken_at else "",
                    linked(hit.path),
                )
                for hit in found.hits
            ],
        )
    )
    if sheet is not None:
        console.print(f"Contact sheet: {linked(sheet.resolve())}")


@app.command()
def events(
    model: Model = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest only.")] = None,
    as_json: AsJson = False,
) -> None:
    """The events of the library, the newest first."""
    from pipeline.listing import list_events
    from pipeline.model_registry import require_model

    with _reported_errors(as_json):
        settings = load_settings()
        engine = _catalog(settings)
        key = _known_model(settings, engine, model)
        with engine.connect() as connection:
            listed = list_events(connection, require_model(connection, key).id, limit=limit)
    if as_json:
        print_json({"model": key, "events": listed})
    else:
        print_events(listed)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Hold the catalog against the ORM, and each store against the catalog."""
    from schema_checks.library_check import check_library

    with _reported_errors(as_json):
        settings = load_settings()
        engine = create_catalog_engine(settings.catalog.url)
        require_reachable(engine)
        findings = check_library(settings, engine)
    failed = [finding for finding in findings if not finding.passed]
    if as_json:
        print_json({"passed": not failed, "checks": findings})
    else:
        console.print(
            table(
                "Checks",
                ["check", "", "finding"],
                [
                    (f.name, "passed" if f.passed else "FAILED", f.description.replace("[", r"\["))
                    for f in findings
                ],
            )
        )
    if failed:
        raise typer.Exit(1)


@app.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the SQL and change nothing.")] = False,
    i_have_a_backup: Annotated[
        bool, typer.Option("--i-have-a-backup", help="A PostgreSQL catalog is changed only with this.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the catalog to the newest revision, after a backup of a SQLite file."""
    from catalog.migration_plan import BackupRequiredError, apply_migration, plan_migration

    with _reported_errors(as_json):
        settings = load_settings()
        engine = create_catalog_engine(settings.catalog.url)
        require_reachable(engine)
        backup = None
        with explained_errors(engine):
            plan = plan_migration(engine)
            if not dry_run:
                try:
                    backup = apply_migration(engine, settings.home / "backups", has_backup=i_have_a_backup)
                except BackupRequiredError as error:
                    _fail(error, as_json)
                require_current(engine)
    before = plan.revision
    if as_json:
        print_json(
            {
                "before": before.found,
                "revision": before.wanted,
                "dry_run": dry_run,
                "sql": plan.sql,
                "backup": backup,
            }
        )
    elif before.is_current:
        console.print(f"Already up to date (revision {before.wanted}).")
    elif dry_run:
        console.print(plan.sql, markup=False, highlight=False, soft_wrap=True)
    else:
        console.print(f"Migrated from {before.found or 'an empty database'} to revision {before.wanted}.")
        if backup is not None:
            console.print(f"Backup: {printable(backup)}")


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Draw the demo library, run the lineage over it, and show what came out."""
    from demo.library import render_library
    from demo.showcase import demo_folder, show

    with _reported_errors(as_json):
        settings = load_settings()
        folder = demo_folder(settings)
        with ProgressBars(visible=not as_json) as bars:
            truth = render_library(
                folder, folder.with_name("truth.json"), on_progress=bars.counter("Drawing the demo library")
            )
        _run(settings, ["demo"], None, as_json)
        engine = _catalog(settings)
        shown = show(settings, engine, truth, _known_model(settings, engine, None))
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


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The port of the web server.")] = 3000,
    host: Annotated[str, typer.Option(help="The address that it listens on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI over the same instance (`dagster dev`)."""
    from assets.dead_runs import ServerRunningError
    from lineage_run import prepare_server
    from resources.settings import CONFIG_VARIABLE, PROJECT_ROOT

    with _reported_errors(False):
        settings = load_settings()
        try:
            dead = prepare_server(settings)
        except ServerRunningError as error:
            _fail(error)
    if dead:
        console.print(
            f"{len(dead)} runs whose process is gone were marked as failed; they are started again."
        )
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)
    os.chdir(PROJECT_ROOT)
    command = ["-m", "dagster", "dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)]
    console.print(f"Dagster UI: http://{host}:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 (a fixed command of our own)


if __name__ == "__main__":
    main()
