"""`photolineage sources`: list the sources, and rename, move and forget them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Engine

from photolineage.catalog.engine import reading
from photolineage.catalog.migrate import is_at_newest_revision
from photolineage.catalog.sources import find_same_sources, list_sources
from photolineage.cli.app import AsJson, app, chosen_settings, open_catalog, reported_errors
from photolineage.cli.terminal import confirmed, console, errors, print_json, shown, table
from photolineage.lineage import KEY_PATTERN
from photolineage.plain_text import printable, toml_string
from photolineage.settings import ConfigurationError, Settings, load_settings

if TYPE_CHECKING:
    from photolineage.steps.forget_source import ForgottenSource, SourceStores
    from photolineage.steps.jobs import JobContext

sources_app = typer.Typer(
    no_args_is_help=True, help="List the sources of photos; rename, move and forget them."
)
app.add_typer(sources_app, name="sources")

Delete = Annotated[
    bool, typer.Option("--delete", help="Delete it. Without this option, a terminal shows it and asks.")
]


def configured_roots(settings: Settings) -> dict[str, Path]:
    """The folder of each configured source."""
    return {key: source.root for key, source in settings.sources.items()}


def hints(settings: Settings, engine: Engine) -> list[str]:
    """What to tell about sources that seem to have been renamed in the configuration."""
    with engine.connect() as connection:
        if not is_at_newest_revision(connection):
            return []
        return [str(same) for same in find_same_sources(connection, configured_roots(settings))]


def print_hints(said: list[str]) -> None:
    for hint in said:
        errors.print(shown(f"Hint: {hint}"), soft_wrap=True)


@sources_app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show each source of the configuration and of the catalog: folder, images, last scan and state."""
    from photolineage.steps.tree_walk import why_unavailable

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        roots = configured_roots(settings)
        unplugged = frozenset(key for key, root in roots.items() if why_unavailable(root) is not None)
        with engine.connect() as connection:
            listed = list_sources(connection, roots, unplugged)
        said = hints(settings, engine)
    if as_json:
        print_json({"sources": listed, "hints": said})
        return
    console.print(
        table(
            "Sources",
            ["source", "state", "images#", "last scan", "folder"],
            [
                (
                    source.key,
                    source.state,
                    source.images,
                    f"{source.scanned_at:%Y-%m-%d %H:%M} UTC" if source.scanned_at else "",
                    printable(source.root),
                )
                for source in listed
            ],
        )
    )
    print_hints(said)


@sources_app.command()
def rename(
    old: Annotated[str, typer.Argument(help="The key that the catalog has.")],
    new: Annotated[str, typer.Argument(help="The new key.")],
    delete: Delete = False,
    as_json: AsJson = False,
) -> None:
    """Rename a source. Its images keep their ids, embeddings and events; nothing is read or embedded again.

    First rename [sources.OLD] in the configuration. For a source added by `photolineage run --photos`, this is done.
    """
    from photolineage.cli.project import has_partitions, rename_partitions
    from photolineage.steps.forget_source import bring_indexes_up_to_date
    from photolineage.steps.rename_source import find_old_files, shards_before
    from photolineage.steps.source_jobs import is_known

    with _changing_sources(as_json) as (settings, context, stores):
        if not KEY_PATTERN.fullmatch(new) or old == new:
            raise ConfigurationError(
                f"{new!r} is no new key. A key has 1 to 48 characters of a-z, 0-9, '.', '_' and '-', begins with a "
                f"letter or digit, and differs from {old!r}."
            )
        with reading(context.engine) as connection:
            is_renamed = not is_known(connection, old) and is_known(connection, new)
            left = find_old_files(connection, stores, old, new)
            renamed = shards_before(connection, old, new)
        if not (is_renamed and (left or has_partitions(settings, old))):
            renamed = _rename_in_catalog(settings, context, stores, old, new, delete=delete, as_json=as_json)
        # else an earlier command was killed after the catalog had changed
        rename_partitions(settings, (old, new), renamed)
        stores.files.remove(left)
        outdated = bring_indexes_up_to_date(context, stores)
    if as_json:
        print_json({"renamed": {"old": old, "new": new}, "shards": renamed})
        return
    console.print(shown(f"Renamed source {old} to {new}. Its images keep their ids, embeddings and events."))
    _print_next_steps(outdated)


def _rename_in_catalog(
    settings: Settings,
    context: "JobContext",
    stores: "SourceStores",
    old: str,
    new: str,
    *,
    delete: bool,
    as_json: bool,
) -> Mapping[str, str]:
    """Rename a source in the configuration, if a command has added it, and in the catalog.

    Returns the new key of each shard by the old one.
    """
    from photolineage.pins.stored import rename_source_in_pins
    from photolineage.steps.add_source import change_added, is_added
    from photolineage.steps.forget_source import plan_forgetting
    from photolineage.steps.rename_source import rename_source, require_same_photos
    from photolineage.steps.source_jobs import end_dead_jobs, find_source, is_known

    with context.engine.connect() as connection:
        find_source(connection, old)
        replaced = plan_forgetting(connection, new) if is_known(connection, new) else None
    added = is_added(settings, old)
    if not added:
        _require_renamed(settings, old, new)
    if replaced is not None and replaced.embeddings and not delete:
        _print_plan(replaced, as_json=as_json)
        _require_consent(
            f"The catalog has a source '{new}' already, with photos that '{old}' does not have. "
            f"Delete '{new}' from the catalog? The next run reads and embeds those photos again.",
            as_json,
        )
    root = settings.sources[new if new in settings.sources else old].root
    require_same_photos(context.engine, old, root)
    end_dead_jobs(context, old)  # before the configuration changes
    if added:
        change_added(settings, old, None if new in settings.sources else (new, root))
    return rename_source(
        context,
        stores,
        old,
        new,
        root,
        rename_elsewhere=lambda connection: rename_source_in_pins(connection, old, new),
    )


@sources_app.command()
def move(
    name: Annotated[str, typer.Argument(help="The source's key.")],
    new_root: Annotated[Path, typer.Argument(help="The folder that now has the same photos.")],
    as_json: AsJson = False,
) -> None:
    """Tell that the folder of a source has moved. Its images keep their ids, embeddings and events."""
    from photolineage.steps.add_source import change_added, is_added
    from photolineage.steps.rename_source import move_source, require_same_photos
    from photolineage.steps.source_jobs import end_dead_jobs

    with _changing_sources(as_json) as (settings, context, _stores):
        root = new_root.expanduser().resolve()
        if not root.is_dir():
            raise ConfigurationError(f"{printable(root)}: no such directory. Nothing was changed.")
        require_same_photos(context.engine, name, root)
        end_dead_jobs(context, name)
        if is_added(settings, name):
            change_added(settings, name, (name, root))
        elif name not in settings.sources or settings.sources[name].root != root:
            raise ConfigurationError(
                f"sources.{name}.root: the photos of source {name!r} are in {printable(root)}. In "
                f"{settings.config_name}, write `root = {toml_string(str(root))}` in [sources.{name}], and run this "
                "command again. Nothing was changed."
            )
        move_source(context.engine, name, root)
    if as_json:
        print_json({"moved": name, "root": root})
        return
    console.print(shown(f"Source {name} is now in {printable(root)}."))
    _print_next_steps()


@sources_app.command()
def forget(
    name: Annotated[str, typer.Argument(help="The source's key.")],
    delete: Delete = False,
    as_json: AsJson = False,
) -> None:
    """Delete what the catalog knows about the photos of a source. Never deletes a photo."""
    from photolineage.cli.project import has_partitions, remove_partitions
    from photolineage.steps.add_source import change_added, is_added
    from photolineage.steps.forget_source import (
        bring_indexes_up_to_date,
        forget_source,
        plan_forgetting,
        remove_files_of,
    )
    from photolineage.steps.source_jobs import end_dead_jobs, forgotten_sources

    with _changing_sources(as_json) as (settings, context, stores):
        with reading(context.engine) as connection:
            is_forgotten = name in forgotten_sources(connection)
        if is_forgotten and (stores.files_of(name) or has_partitions(settings, name)):
            # An earlier command was killed after the catalog had changed.
            remove_partitions(settings, name)
            remove_files_of(context, stores, name)
            outdated = bring_indexes_up_to_date(context, stores)
            if as_json:
                print_json({"deleted": True, "forgotten": None})
            else:
                console.print(shown(f"Deleted what an earlier command had left of source {name}."))
                _print_next_steps(outdated)
            return
        added = is_added(settings, name)
        with context.engine.connect() as connection:
            plan = plan_forgetting(connection, name)
        if not as_json:
            _print_plan(plan, as_json=as_json)
        if name in settings.sources and not added:
            raise ConfigurationError(
                f"source {name!r} is still configured: the next scan would find its photos again. First remove "
                f"[sources.{name}] from {settings.config_name}. Nothing was deleted."
            )
        deleted = delete or (
            _may_ask(as_json) and confirmed(f"Delete all this? No photo in {name} is deleted.")
        )
        if deleted:
            end_dead_jobs(context, name)  # before the configuration changes
            if added:
                change_added(settings, name, None)
            forget_source(context, stores, name)
            remove_partitions(settings, name)
            outdated = bring_indexes_up_to_date(context, stores)
    if as_json:
        print_json({"deleted": deleted, "forgotten": plan})
    elif deleted:
        console.print(shown(f"Forgot source {name}. Its photos are where they were."))
        _print_next_steps(outdated)
    else:
        console.print("Nothing was deleted. To delete it, add --delete.")


@contextmanager
def _changing_sources(as_json: bool) -> "Iterator[tuple[Settings, JobContext, SourceStores]]":
    """The settings, the catalog and the stores, while no `photolineage run` works in the home."""
    from photolineage.cli.project import alone_in_home
    from photolineage.steps.forget_source import SourceStores
    from photolineage.steps.jobs import JobContext
    from photolineage.stores.embeddings import EmbeddingStore
    from photolineage.stores.files import open_files
    from photolineage.stores.vector_index import VectorIndexes

    with reported_errors(as_json):
        settings = chosen_settings(as_json)
        engine = open_catalog(settings, to_write=True)
        with alone_in_home(settings, lambda said: errors.print(shown(said), soft_wrap=True)):
            settings = load_settings(settings.config_file)  # as the run that ended has left it
            context = JobContext(
                engine, "photolineage-sources", timedelta(seconds=settings.lease_timeout_seconds)
            )
            yield (
                settings,
                context,
                SourceStores(EmbeddingStore(open_files(settings)), VectorIndexes(settings.home)),
            )


def _require_renamed(settings: Settings, old: str, new: str) -> None:
    """Raise ConfigurationError, which says what to write, unless the configuration has the new name alone."""
    if old in settings.sources:
        change = (
            f"remove [sources.{old}] from"
            if new in settings.sources
            else f"write [sources.{new}] in place of [sources.{old}] in"
        )
    elif new not in settings.sources:
        change = f"add [sources.{new}] with the folder of its photos to"
    else:
        return
    raise ConfigurationError(
        f"first {change} {settings.config_name}, then run this command again. Nothing was changed."
    )


def _may_ask(as_json: bool) -> bool:
    return not as_json and sys.stdin.isatty() and sys.stderr.isatty()


def _require_consent(question: str, as_json: bool) -> None:
    if not (_may_ask(as_json) and confirmed(question)):
        raise ConfigurationError(f"{question} Nothing was changed. To do it, add --delete.")


def _print_plan(plan: "ForgottenSource", *, as_json: bool) -> None:
    if as_json:
        return
    console.print(
        table(
            f"What the catalog would lose with source {plan.key}",
            ["what", "count#", "note"],
            [
                ("images", plan.images, "the photos themselves are never deleted"),
                ("of these with a copy elsewhere", plan.copies, "copies keep their embeddings"),
                ("embeddings", plan.embeddings, "of all models; deleted for good"),
                ("events that lose images", plan.events, "the next run forms them again"),
                ("of these deleted", plan.whole_events, "they have no other images"),
                ("files", plan.files, f"previews and embeddings, {plan.size_bytes / 1e6:,.1f} MB"),
            ],
        )
    )


def _print_next_steps(outdated: Sequence[str] = ()) -> None:
    for model in outdated:
        console.print(
            shown(f"The index of {model} could not be brought up to date now; the next run does it.")
        )
    console.print(
        "Next: `photolineage run` brings the events up to date. If the Dagster UI is open, reload the code location "
        "there. Albums change when you write them again (`photolineage report`)."
    )
