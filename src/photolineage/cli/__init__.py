"""`photolineage …`: the lineage, search and the library's state from a terminal."""

import gc

gc.set_threshold(100_000)  # imports make many objects and no garbage: a seventh of their time

from photolineage.cli import (  # noqa: E402, F401 (each registers its commands)
    compare,
    contract,
    demo,
    events,
    init,
    report,
    retire,
    run,
    search,
    status,
    ui,
)
from photolineage.cli.app import app  # noqa: E402


def main() -> None:
    """The entry point: exit code 0 if all went well, 1 with a message otherwise."""
    app()
