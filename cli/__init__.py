"""`photolineage …`: the lineage, search and the library's state from a terminal."""

from cli import compare, contract, demo, events, run, search, status, ui
from cli.app import app

__all__ = ["app", "compare", "contract", "demo", "events", "main", "run", "search", "status", "ui"]


def main() -> None:
    """The entry point: exit code 0 if all went well, 1 with a message otherwise."""
    app()
