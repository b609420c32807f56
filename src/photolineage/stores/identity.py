"""Which store a catalog belongs to: the catalog lists files, and only the store that holds them may use it.

A store has a file of marks, `store.id`, and the catalog records the newest one. A store without the recorded mark is
another store. When a store is found at another place, it gets a new mark: of a store and its copy, the one that is used
first goes on, and the other one is refused.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import Connection, Engine, delete, insert, inspect, select

from photolineage.catalog.engine import DATABASE_TIME, advisory_lock, run_in_transaction, shown_url
from photolineage.catalog.leases import find_holders
from photolineage.catalog.orm import ShardFile, Store
from photolineage.errors import PhotolineageError
from photolineage.stores.files import Files, LostFileError
from photolineage.stores.root_folder import StorageError

MARKS: Final = "store.id"
"""The file with the marks of a store, one on a line, the newest last."""
MOST_MARKS: Final = 100
"""A catalog from a backup may have recorded an old mark, so a store keeps its last ones."""

_MARK: Final = re.compile(r"[0-9a-f]{32}")
_LOOKED_AT: Final = 50
_STORE_LOCK: Final = 0x73746F7265
"""The key of the PostgreSQL lock for the row of the store."""


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
    with engine.connect() as connection:
        recorded = require_own_store(connection, files)
        if not inspect(connection).has_table(Store.__tablename__):
            return
    if recorded is None or recorded.place != files.place:
        new_mark = uuid4().hex
        run_in_transaction(engine, lambda connection: _attach(connection, files, new_mark))


def adopt_store(engine: Engine, files: Files, lease_timeout: timedelta) -> None:
    """Make the store with these files the catalog's store. Every other store is refused from then on.

    Creates the folders of previews and of embeddings, so that missing files count as lost. Raises ForeignStoreError
    while a run works on the catalog: its files would go to the other store.
    """
    from photolineage.stores.embeddings import EMBEDDINGS
    from photolineage.stores.previews import PREVIEWS

    new_mark = uuid4().hex

    def adopt(connection: Connection) -> None:
        if holders := find_holders(connection, lease_timeout):
            raise ForeignStoreError(
                f"{holders[0]}. It writes to the store that the catalog has now. End it, then try again"
            )
        advisory_lock(connection, _STORE_LOCK)
        _record(connection, files, new_mark)

    for folder in (PREVIEWS, EMBEDDINGS):
        files.make_folder(folder)
    run_in_transaction(engine, adopt)


def _attach(connection: Connection, files: Files, new_mark: str) -> None:
    """Like `attach_store`, while no other process changes the row or the marks."""
    advisory_lock(connection, _STORE_LOCK)
    recorded = require_own_store(connection, files)
    if recorded is None and not _has_listed_files(connection, files):
        raise ForeignStoreError(_refusal(connection, files, None))
    if recorded is None or recorded.place != files.place:
        _record(connection, files, new_mark)


def _record(connection: Connection, files: Files, new_mark: str) -> None:
    """Write the mark into the store, then into the catalog. A mark of which the catalog knows nothing does no harm."""
    marks = [*_marks(files), new_mark][-MOST_MARKS:]
    files.write(MARKS, lambda partial: partial.write_text("".join(f"{mark}\n" for mark in marks)))
    connection.execute(delete(Store))
    connection.execute(
        insert(Store).values(id=Store.ONLY, mark=new_mark, place=files.place, attached_at=DATABASE_TIME)
    )


def _marks(files: Files) -> list[str]:
    """The marks of a store; none if it has no file of marks, or a damaged one."""
    try:
        content = files.local(MARKS).read_bytes().decode(errors="replace")
    except LostFileError:
        return []
    except OSError as error:
        raise StorageError(
            f"{files.location(MARKS)}: cannot be read: {error.strerror}. Make it readable for this user"
        ) from error
    return [line for line in content.split("\n") if _MARK.fullmatch(line)]


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
            f"home is {here}, but its file {MARKS}, by which the catalog {catalog} knows it, is missing or too old. "
            "Mount the disk of the home. If the files are lost or come from an old backup, run `photolineage adopt`: "
            "what is missing is made again"
        )
    other = "another home" if recorded is None else f"the home {recorded.place}"
    return (
        f"home is {here}, but the catalog {catalog} belongs to {other}. Two homes on one catalog would compute each "
        "other's files again and again. To work on the same library, set home to that folder; on another machine, "
        "mount its disk. For a separate library, set catalog.url to another database. If this home takes over, run "
        "`photolineage adopt`"
    )
