"""`photolineage adopt`: this home takes over the catalog of another home."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from photolineage.catalog.engine import reading
from photolineage.catalog.migrate import require_current
from photolineage.cli.app import AsJson, app, chosen_settings, fail, open_existing, reported_errors
from photolineage.cli.terminal import confirmed, console, errors, print_json, shown
from photolineage.stores.files import open_files
from photolineage.stores.identity import ForeignStoreError, adopt_store, require_own_store


@app.command()
def adopt(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: AsJson = False
) -> None:
    """Let this home take over a catalog that belongs to another home.

    From then on, the other home is refused. Previews, embeddings and indexes that this home lacks are made again by the
    next `photolineage run`. The photos are not changed.
    """
    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine, files = open_existing(settings), open_files(settings)
        require_current(engine)
        refusal = None
        with reading(engine) as connection:
            try:
                store = require_own_store(connection, files)
            except ForeignStoreError as error:
                refusal, store = str(error), None
        if store is None:
            errors.print(shown(refusal or "The catalog belongs to no home yet."), soft_wrap=True)
            if not (yes or _agreed(as_json)):
                fail("nothing was changed. To take over without a question, add --yes", as_json)
            adopt_store(engine, files, timedelta(seconds=settings.lease_timeout_seconds))
    if as_json:
        print_json({"adopted": store is None, "home": files.place})
    elif store is not None:
        console.print("The catalog already belongs to this home. Nothing was changed.")
    else:
        console.print("The catalog now belongs to this home. `photolineage run` makes what is missing here.")


def _agreed(as_json: bool) -> bool:
    return (
        not as_json
        and sys.stdin.isatty()
        and confirmed(
            "Take the catalog over? The other home is refused from then on, and files that this home lacks are made "
            "again."
        )
    )
