"""Asks the person about a `photolineage.toml` in the current folder that they do not trust yet."""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from photolineage.cli.terminal import confirmed, errors, shown, table
from photolineage.settings import Settings, UntrustedConfigurationError, load_settings, trust


def settings_with_consent(*, or_demo: bool, may_ask: bool) -> Settings:
    """The settings. In a terminal, the person is asked about a configuration that they do not trust yet."""
    try:
        return load_settings(or_demo=or_demo)
    except UntrustedConfigurationError as refusal:
        if not (may_ask and sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        errors.print(shown(f"{refusal.file}: {refusal.reason}."))
        show_what_it_names(refusal.file)
        if not confirmed("Use it now and from now on?"):
            raise
        trust(refusal.file)
    return load_settings(or_demo=or_demo)


def show_what_it_names(file: Path) -> None:
    """Print the programs, addresses, models and folders that a configuration names."""
    with suppress(OSError, ValueError):
        named = list(_named(tomllib.loads(file.read_text(encoding="utf-8"))))
        errors.print(
            table("It names", ["setting", "value"], named) if named else "It names no program and no model."
        )


def _named(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        setting = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _named(value, f"{setting}.")
        elif setting == "catalog.url":
            yield setting, _without_password(str(value))
        elif setting == "alerts.webhook":
            yield setting, urlsplit(str(value))._replace(path="", query="", fragment="").geturl()
        elif setting in {"home", "alerts.command"} or name in {"root", "architecture"}:
            yield setting, str(value)


def _without_password(url: str) -> str:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return "(not an address of a database)"
    return parsed.set(query={}).render_as_string(hide_password=True)
