"""`photolineage ui`: the Dagster UI over the same instance."""

import os
import signal
import sys
from typing import Annotated

import typer

from photolineage.cli.app import app, chosen_settings, reported_errors
from photolineage.cli.terminal import console


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The port of the web server.")] = 3000,
    host: Annotated[str, typer.Option(help="The address that it listens on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI over the same instance (`dagster dev`)."""
    from photolineage.cli.project import prepare_server, webserver_command

    with reported_errors(False):
        settings = chosen_settings()
        dead = prepare_server(settings)
    if dead:
        console.print(
            f"{len(dead)} runs whose process is gone were marked as failed; they are started again."
        )
    if settings.alerts.ui is None:
        os.environ["PHOTOLINEAGE_ALERTS__UI"] = f"http://{host}:{port}"
    command = webserver_command(settings, host, port)
    console.print(f"Dagster UI: http://{host}:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    # A shell ignores Ctrl-C for what a script puts into the background, and Dagster then ignores SIGTERM as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 (a fixed command of our own)
