"""What all commands share: the application, common options, the settings, the catalog, and error messages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.text import Text
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError

from photolineage.catalog.engine import reading, require_reachable
from photolineage.catalog.migrate import is_at_newest_revision
from photolineage.catalog.queries import serving_model_key
from photolineage.catalog.refusals import explain_refusal
from photolineage.cli.consent import settings_with_consent
from photolineage.cli.terminal import errors, print_json, shown
from photolineage.errors import PhotolineageError
from photolineage.plain_text import printable
from photolineage.settings import (
    BUILT_IN,
    CONFIG_VARIABLE,
    ConfigurationError,
    Settings,
    demo_config_file,
)
from photolineage.settings.locate import FILE_NAME
from photolineage.settings.private_home import close_home
from photolineage.stores.files import open_files
from photolineage.stores.identity import attach_store, require_own_store

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Search folders of photos by their content, and find the events in them.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text and tables.")]
Model = Annotated[
    str | None, typer.Option("--model", help="The key of a model. Default: the current serving model.")
]


@app.callback()
def configure(
    config: Annotated[
        Path | None,
        typer.Option(envvar=CONFIG_VARIABLE, help="The configuration file to use.", show_default=False),
    ] = None,
) -> None:
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config.expanduser().resolve())


def fail(message: object, as_json: bool = False, exit_code: int = 1) -> NoReturn:
    if as_json:
        print_json({"error": str(message)})
    errors.print(Text.assemble(("Error:", "bold red"), " ", shown(message)), soft_wrap=True)
    raise typer.Exit(exit_code)


@contextmanager
def reported_errors(as_json: bool) -> Iterator[None]:
    """Print an error that a person can fix as one message, and exit with its code."""
    try:
        yield
    except PhotolineageError as error:
        fail(error, as_json, error.exit_code)
    except (DBAPIError, OSError, MemoryError, ImportError) as error:
        if (explained := explain_refusal(error)) is None:
            raise
        fail(explained, as_json)


def chosen_settings(as_json: bool = False, *, or_demo: bool = True) -> Settings:
    """The settings that a command uses. Where they come from is printed on standard error."""
    settings = settings_with_consent(or_demo=or_demo, may_ask=not as_json)
    if not os.environ.get(CONFIG_VARIABLE) and settings.config_file == Path.cwd() / FILE_NAME:
        errors.print(shown(f"Using ./{FILE_NAME}"), style="dim")  # with --json too: it may surprise
        return settings
    if settings.config_file == BUILT_IN:
        origin = f"built in (home: {printable(settings.home)})"
    elif settings.config_file == demo_config_file():
        origin = "the demo's. To add your own photos: photolineage run --photos <folder>"
    else:
        origin = printable(settings.config_file)
    close(settings)
    if not as_json:
        errors.print(shown(f"Configuration: {origin}"), style="dim", soft_wrap=True)
    return settings


def close(settings: Settings) -> None:
    """Close the home to other users, and say so if it was open."""
    if (closed := close_home(settings.home)) is not None:
        errors.print(shown(closed), soft_wrap=True)


def open_existing(settings: Settings) -> Engine:
    """The catalog's engine. Raises ConfigurationError if there is no library yet, and creates nothing."""
    url = make_url(settings.catalog.url)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise ConfigurationError(
            f"there is no library yet: {printable(url.database)} does not exist. To try Photolineage, run "
            "`photolineage demo`; for your own photos, `photolineage run --photos <folder>`."
        )
    engine = settings.catalog.open_engine()
    require_reachable(engine)
    return engine


def open_catalog(settings: Settings, *, to_write: bool = False) -> Engine:
    """The catalog of this home. Raises ForeignStoreError if it belongs to another home."""
    engine = open_existing(settings)
    with reading(engine) as connection:
        is_current = is_at_newest_revision(connection)
    if not is_current:
        from photolineage.catalog.migrate import require_current

        require_current(engine)
    files = open_files(settings)
    if to_write:
        attach_store(engine, files)
    else:
        with reading(engine) as connection:
            require_own_store(connection, files)
    return engine


def known_model(settings: Settings, engine: Engine, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in settings.models:
            from photolineage.settings.model_names import closest

            raise ConfigurationError(
                f"model {wanted!r} is not configured; {closest(wanted, settings.models) or 'no model is'}"
            )
        return wanted
    with reading(engine) as connection:
        serving = serving_model_key(connection)
    if serving is not None:
        return serving
    if not settings.models:
        raise ConfigurationError(
            f"no model is configured. Add a [models.<key>] section to {settings.config_name}"
        )
    return next(iter(settings.models))
