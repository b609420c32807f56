"""`photolineage ui`: the Dagster UI over the same instance."""

import os
import signal
import sys
from typing import Annotated

import typer

from cli.app import app, fail, reported_errors
from cli.terminal import console
from resources.settings import load_settings


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The port of the web server.")] = 3000,
    host: Annotated[str, typer.Option(help="The address that it listens on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI over the same instance (`dagster dev`)."""
    from assets.dead_runs import ServerRunningError
    from cli.lineage_run import prepare_server
    from resources.settings import CONFIG_VARIABLE, PROJECT_ROOT

    with reported_errors(False):
        settings = load_settings()
        try:
            dead = prepare_server(settings)
        except ServerRunningError as error:
            fail(error)
    if dead:
        console.print(
            f"{len(dead)} runs whose process is gone were marked as failed; they are started again."
        )
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)
    if settings.alerts.ui is None:
        os.environ["PHOTOLINEAGE_ALERTS__UI"] = f"http://{host}:{port}"
    os.chdir(PROJECT_ROOT)
    command = ["-m", "dagster", "dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)]
    console.print(f"Dagster UI: http://{host}:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    # A shell ignores Ctrl-C for what a script puts into the background, and Dagster then ignores SIGTERM as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 (a fixed command of our own)
