"""Which store a catalog belongs to: the catalog lists files, and only the store that holds them may use it.

A store has a folder of marks, and the catalog records the newest one. A store without the recorded mark is another
store. When a store is found at another place, it gets a new mark: of a store and its copy, the one that is used first
goes on, and the other one is refused.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, Engine, Insert, delete, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from photolineage.catalog.engine import DATABASE_TIME, reading, run_in_transaction, shown_url
from photolineage.catalog.leases import find_holders
from photolineage.catalog.orm import ShardFile, Store
from photolineage.errors import PhotolineageError
from photolineage.stores.files import Files, LostFileError

MARKS: Final = "store"
"""The folder with the marks of a store: files whose names are the marks, and whose content is the place."""
MOST_MARKS: Final = 100
"""A catalog from a backup may have recorded an old mark, so a store keeps its last ones."""

_MARK: Final = re.compile(r"[0-9a-f]{32}")
_LOOKED_AT: Final = 50
_ATTEMPTS: Final = 20


class ForeignStoreError(PhotolineageError):
    """The catalog belongs to another store. The message says where that was, and what to do."""


@dataclass(frozen=True, slots=True)
class RecordedStore:
    """What a catalog records about its store: the mark, and the place where it was last used."""

    mark: str
    place: str


def recorded_store(connection: Connection) -> RecordedStore | None:
    """The store of a catalog. None before the first run, and before the migration that creates the table."""
    inspector = inspect(connection)
    if not inspector.has_table(Store.__tablename__):
        return None
    names = {column["name"] for column in inspector.get_columns(Store.__tablename__)}
    if not {"mark", "place"} <= names:
        return None  # the check of the contract explains it
    row = connection.execute(select(Store.mark, Store.place)).first()
    return None if row is None else RecordedStore(row.mark, row.place)


def require_own_store(connection: Connection, files: Files) -> RecordedStore | None:
    """The catalog's store. Raises ForeignStoreError if it is not the store with these files."""
    recorded = recorded_store(connection)
    if recorded is not None and recorded.mark not in _marks(files):
        raise ForeignStoreError(_refusal(connection, files, recorded))
    return recorded


def attach_store(engine: Engine, files: Files) -> None:
    """Make sure that the catalog belongs to the store with these files; a new catalog is given to it.

    Before the migration that creates the table, this does nothing. Raises ForeignStoreError.
    """
    new_mark = None
    for _ in range(_ATTEMPTS):
        with reading(engine) as connection:
            if not inspect(connection).has_table(Store.__tablename__):
                return
            recorded = require_own_store(connection, files)
            if recorded is None and not _has_listed_files(connection, files):
                raise ForeignStoreError(_refusal(connection, files, None))
        if recorded is not None and recorded.place == files.place:
            return
        new_mark = new_mark or _add_mark(files)
        if _record(engine, files, new_mark, instead_of=recorded):
            return
        # Another process was faster: look again whether the catalog still belongs to this store.
    raise ForeignStoreError(
        f"home is {files.place}: other homes take over the catalog {shown_url(engine.url)} all the time. Let only one "
        "home use it"
    )


def adopt_store(engine: Engine, files: Files, lease_timeout: timedelta) -> None:
    """Make the store with these files the catalog's store. Every other store is refused from then on.

    Creates the folders of previews and of embeddings, so that missing files count as lost. Raises ForeignStoreError
    while a run works on the catalog: its files would go to the other store.
    """
    from photolineage.stores.embeddings import EMBEDDINGS
    from photolineage.stores.previews import PREVIEWS

    for folder in (PREVIEWS, EMBEDDINGS):
        files.make_folder(folder)
    new_mark = _add_mark(files)

    def adopt(connection: Connection) -> None:
        if holders := find_holders(connection, lease_timeout):
            raise ForeignStoreError(
                f"{holders[0]}. It writes to the store that the catalog has now. End it, then try again"
            )
        connection.execute(delete(Store))
        connection.execute(_row(files, new_mark))

    run_in_transaction(engine, adopt)


def _record(engine: Engine, files: Files, new_mark: str, *, instead_of: RecordedStore | None) -> bool:
    """Record a mark of this store, unless the catalog's mark has changed meanwhile. Returns whether it was recorded."""

    def record(connection: Connection) -> bool:
        if instead_of is None:
            return connection.execute(select(Store.id)).first() is None and _inserted(connection)
        replaced = connection.execute(delete(Store).where(Store.mark == instead_of.mark))
        return replaced.rowcount == 1 and _inserted(connection)

    def _inserted(connection: Connection) -> bool:
        connection.execute(_row(files, new_mark))
        return True

    try:
        return run_in_transaction(engine, record)
    except IntegrityError:  # on PostgreSQL, two processes gave a new catalog to a store at the same time
        return False


def _row(files: Files, mark: str) -> Insert:
    return insert(Store).values(id=Store.ONLY, mark=mark, place=files.place, attached_at=DATABASE_TIME)


def _add_mark(files: Files) -> str:
    """Write a new mark into the store, and remove the oldest of too many. An unused mark does no harm."""
    mark = uuid4().hex
    files.write(f"{MARKS}/{mark}", lambda partial: partial.write_text(f"{files.place}\n", encoding="utf-8"))
    by_age = sorted(files.list_files(MARKS), key=lambda file: file.modified_at)
    files.remove(file.path for file in by_age[:-MOST_MARKS])
    return mark


def _marks(files: Files) -> set[str]:
    names = {file.path.rpartition("/")[2] for file in files.list_files(MARKS)}
    return {name for name in names if _MARK.fullmatch(name)}


def _has_listed_files(connection: Connection, files: Files) -> bool:
    """Whether the catalog lists no files yet, or this store has one of the newest."""
    newest = connection.execute(
        select(ShardFile.path).where(ShardFile.superseded_at.is_(None)).order_by(ShardFile.id.desc())
    ).scalars()
    looked_at = newest.fetchmany(_LOOKED_AT)
    return not looked_at or any(_is_there(files, path) for path in looked_at)


def _is_there(files: Files, path: str) -> bool:
    try:
        files.local(path)
    except LostFileError:
        return False
    return True


def _refusal(connection: Connection, files: Files, recorded: RecordedStore | None) -> str:
    catalog, here = shown_url(connection.engine.url), files.place
    if recorded is not None and recorded.place == here:
        return (
            f"home is {here}, but its folder {MARKS!r}, by which the catalog {catalog} knows it, is missing or too "
            "old. Mount the disk of the home. If the files are lost or come from an old backup, run "
            "`photolineage adopt`: what is missing is made again"
        )
    other = "another home" if recorded is None else f"the home {recorded.place}"
    return (
        f"home is {here}, but the catalog {catalog} belongs to {other}. Two homes on one catalog would compute each "
        "other's files again and again. To work on the same library, set home to that folder; on another machine, "
        "mount its disk. For a separate library, set catalog.url to another database. If this home takes over, run "
        "`photolineage adopt`"
    )
