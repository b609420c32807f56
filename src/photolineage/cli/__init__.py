"""The `photolineage` command: run the lineage, search the library, and show its state."""

import gc

gc.set_threshold(
    100_000
)  # imports create many objects and no garbage: collecting it takes a seventh of their time

from photolineage.cli import (  # noqa: E402, F401 (each module registers its command)
    adopt,
    compare,
    contract,
    covered,
    demo,
    duplicates,
    events,
    init,
    models,
    pin,
    report,
    retire,
    run,
    search,
    sources,
    status,
    ui,
    why,
)
from photolineage.cli.app import app  # noqa: E402
from photolineage.cli.terminal import escape_what_cannot_be_shown, show_logs  # noqa: E402
from photolineage.settings.private_home import create_private_files  # noqa: E402


def main() -> None:
    """The entry point. The exit code is 0 on success, and 1 after an error message."""
    create_private_files()
    escape_what_cannot_be_shown()
    show_logs()
    app()
