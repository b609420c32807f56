"""What all commands share: the application, its options, and errors as one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from sqlalchemy import Engine

from catalog.engine import create_catalog_engine, require_reachable
from catalog.queries import serving_model_key
from catalog.revision import is_at_newest_revision
from cli.terminal import errors, print_json
from resources.settings import ConfigurationError, Settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Folders of photographs as searchable embeddings and event albums.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[str | None, typer.Option("--model", help="A model's key; the serving one if left out.")]


def fail(message: object, as_json: bool = False) -> NoReturn:
    if as_json:
        print_json({"error": str(message)})
    errors.print(f"[bold red]Error:[/] {str(message).replace('[', chr(92) + '[')}", soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def reported_errors(as_json: bool) -> Iterator[None]:
    """The errors that a person can mend, as one message and exit code 1."""
    try:
        yield
    except Exception as error:
        if isinstance(error, _mendable_errors()):
            fail(error, as_json)
        raise


def _mendable_errors() -> tuple[type[Exception], ...]:
    """Known only where something was raised: to load what raises them takes half a second."""
    from catalog.engine import CatalogUnreachableError
    from catalog.migrate import UnmigratedCatalogError
    from pipeline.model_registry import ModelChangedError, ModelNotLoadedError
    from pipeline.search import QueryError
    from resources.embedder import ModelUnavailableError
    from resources.file_store import StorageError
    from resources.vector_index import VectorIndexError

    return (
        ConfigurationError,
        CatalogUnreachableError,
        UnmigratedCatalogError,
        ModelChangedError,
        ModelNotLoadedError,
        ModelUnavailableError,
        QueryError,
        StorageError,
        VectorIndexError,
    )


def open_catalog(settings: Settings) -> Engine:
    engine = create_catalog_engine(settings.catalog.url)
    require_reachable(engine)
    with engine.connect() as connection:
        is_current = is_at_newest_revision(connection)
    if not is_current:
        from catalog.migrate import require_current

        require_current(engine)
    return engine


def known_model(settings: Settings, engine: Engine, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in settings.models:
            from resources.model_names import closest

            raise ConfigurationError(
                f"model {wanted!r} is not configured; {closest(wanted, settings.models) or 'none is'}"
            )
        return wanted
    with engine.connect() as connection:
        serving = serving_model_key(connection)
    if serving is not None:
        return serving
    if not settings.models:
        raise ConfigurationError(
            f"no model is configured. Add a [models.<key>] section to {settings.config_file}"
        )
    return next(iter(settings.models))
