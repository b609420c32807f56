"""`photolineage retire`: list and delete what is stored for a model that is no longer used."""

from typing import Annotated

import typer

from photolineage.catalog.engine import reading
from photolineage.cli.app import AsJson, app, chosen_settings, open_catalog, reported_errors
from photolineage.cli.terminal import console, print_json, table
from photolineage.plain_text import printable


@app.command()
def retire(
    model: Annotated[str, typer.Argument(help="The model's key.")],
    delete_files: Annotated[
        bool,
        typer.Option("--delete-files", help="Delete the files. Without this option they are only listed."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the disk space that a model uses. With --delete-files: delete its embeddings, index and events."""
    from datetime import timedelta

    from photolineage.steps.jobs import JobContext
    from photolineage.stores.files import open_files
    from photolineage.stores.vector_index import VectorIndexes
    from photolineage.upgrade.retire import ModelStores, plan_retirement, retire_model

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings, to_write=delete_files)
        stores = ModelStores(open_files(settings), VectorIndexes(settings.home))
        if delete_files:
            context = JobContext(
                engine, "photolineage-retire", timedelta(seconds=settings.lease_timeout_seconds)
            )
            plan = retire_model(context, stores, model, configured=settings.models)
        else:
            with reading(engine) as connection:
                plan = plan_retirement(connection, stores, model)
    if as_json:
        print_json({"deleted": delete_files, "size_bytes": plan.size_bytes, "retirement": plan})
        return
    console.print(
        table(
            f"{model}: {plan.events} events, {plan.committed_files} checkpoints",
            ["path", "files#", "megabytes#"],
            [
                (printable(stored.location), stored.files, f"{stored.size_bytes / 1e6:,.1f}")
                for stored in plan.stored
            ],
        )
    )
    console.print(
        f"{plan.size_bytes / 1e6:,.1f} MB "
        + (
            "were deleted."
            if delete_files
            else "would be deleted. Nothing was deleted yet: add --delete-files."
        )
    )
