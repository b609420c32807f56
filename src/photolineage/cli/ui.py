"""`photolineage ui`: start the Dagster UI."""

import os
import signal
import sys
from typing import Annotated

import typer

from photolineage.catalog.refusals import require_address_space
from photolineage.cli.app import app, chosen_settings, fail, reported_errors
from photolineage.cli.terminal import console, shown

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The port of the web server.")] = 3000,
    host: Annotated[str, typer.Option(help="The address of the web server.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Allow access from other machines. The UI has no password: anyone who can open it can start runs.",
        ),
    ] = False,
) -> None:
    """Start the Dagster UI for this library. Web pages from other sites cannot use it."""
    from photolineage.cli.project import prepare_server, webserver_command

    with reported_errors(False):
        if not allow_remote and host not in LOOPBACK:
            fail(
                f"--host {host}: other machines could reach the UI there. It asks for no password: whoever reaches it "
                "can start runs and delete files. Leave --host out and put a proxy that asks for one in front of "
                f"127.0.0.1:{port}, with its address as alerts.ui; or add --allow-remote."
            )
        require_address_space()
        settings = chosen_settings()
        dead = prepare_server(settings)
    if dead:
        console.print(
            f"{len(dead):,} runs were marked as failed because their processes no longer exist. They are started again."
        )
    if settings.alerts.ui is None:
        os.environ["PHOTOLINEAGE_ALERTS__UI"] = f"http://{host}:{port}"
    command = webserver_command(settings, host, port, remote=allow_remote)
    console.print(shown(f"Dagster UI: http://{host}:{port} (stop with Ctrl-C)"))
    sys.stdout.flush()
    # A process that a script starts in the background ignores Ctrl-C, and Dagster would then ignore SIGTERM too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 (a fixed command of our own)
