"""What a database, a disk or the system refuses: the cause and the remedy of each refusal, in one message."""

import errno
import os
import re
import resource
from types import TracebackType
from typing import Final

from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from photolineage.errors import PhotolineageError
from photolineage.plain_text import printable

NO_RIGHT: Final = "42501"
"""PostgreSQL's code for a right that the role does not have."""
STATEMENT_TIMEOUT: Final = "57014"

CONNECTIONS_OF_A_RUN: Final = 10
LEAST_ADDRESS_SPACE: Final = 8 * 10**9
_UNMAPPED: Final = "failed to map segment"

_STARTING: Final = ("starting up", "not yet accepting connections", "recovery mode")

_MALFORMED: Final = "disk image is malformed"
"""What SQLite says of a damaged file, as a plain DatabaseError."""

_KEPT: Final = "Committed work is kept."

_FULL: Final = f"Free space on its disk and run again. {_KEPT}"

_REMEDIES: Final = {
    "statement timeout": "The server ends every statement after its statement_timeout, which is too short for the "
    f"catalog. Let the role wait: ALTER ROLE <role> SET statement_timeout = 0. {_KEPT}",
    r"on socket [^\n]*failed: permission denied": "This user may not open the server's socket. Let the user write to "
    "it, or connect through a host: postgresql://<user>@localhost/<database>. Nothing was changed.",
    "no pg_hba.conf entry": "The server does not let this user connect to this database from this machine. Add a line "
    "to its pg_hba.conf, or correct catalog.url. Nothing was changed.",
    "not currently accepting connections": "Its owner has closed it. Let it accept connections: ALTER DATABASE "
    f"<database> WITH ALLOW_CONNECTIONS true. {_KEPT}",
    "deadlock": f"Another program changed the same rows at the same time. Run again. {_KEPT}",
    "permission denied": "The role of catalog.url lacks a right. As the owner of the database: GRANT CREATE ON "
    "DATABASE <database> TO <role>; GRANT CREATE, USAGE ON SCHEMA public TO <role>. If another role made the tables, "
    "also: GRANT ALL ON ALL TABLES IN SCHEMA public TO <role>. Or name another role. Nothing was changed.",
    "must be owner": "Another role made the tables. Run this with that role, or give them to yours: REASSIGN OWNED BY "
    "<owner> TO <role>. Nothing was changed.",
    "too many c": f"A run needs up to {CONNECTIONS_OF_A_RUN} connections. Allow the role more (ALTER ROLE <role> "
    f"CONNECTION LIMIT {CONNECTIONS_OF_A_RUN}), or the server (max_connections), or end other programs. {_KEPT}",
    "connection slots": "All connections of the server are taken. Raise its max_connections, or end other programs. "
    f"{_KEPT}",
    'database "[^"]*" does not exist': "Create it (createdb <database>), or correct the name in catalog.url.",
    'role "[^"]*" does not exist': "Create it (createuser <role>), or correct the user in catalog.url.",
    "password": "Give the right one by PGPASSFILE, PHOTOLINEAGE_CATALOG__PASSWORD or catalog.password_file, or correct "
    "the user in catalog.url.",
    "shutting down": f"Wait until the server has started again, and run again. {_KEPT}",
    "locked": "Another process has locked it for more than 30 s. End that process (`fuser` on the file names it), then "
    "try again. Nothing was changed.",
    "readonly": "Make the file and its folder writable for this user. Nothing was changed.",
    "read-only": "Connect to a server that accepts writes. Nothing was changed.",
    _MALFORMED: "The file is damaged. Stop every program that uses it, move it and its -wal and -shm files away, and "
    "restore a backup.",
    "not a database": "Name another file in catalog.url. This file was not changed.",
    "disk is full": _FULL,
    "no space left": _FULL,
    "disk i/o error": f"Its disk is full, read-only or failing: check the disk and run again. {_KEPT}",
    "unable to open": "Its folder must exist and be writable for this user.",
}
"""What to do, by a pattern in the reason. The first that matches counts."""

_OF_FILES: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: f"Your quota on its disk is used up. Free space and run again. {_KEPT}",
    errno.EROFS: "Its disk is read-only: mount it for writing, or set home to another folder.",
    errno.EACCES: "Make it accessible for this user, or set home to another folder.",
    errno.EPERM: "Make it accessible for this user, or set home to another folder.",
    errno.EMFILE: "Allow this process more open files (ulimit -n 4096), and run again.",
    errno.ENFILE: "The system has too many open files. End other programs, and run again.",
    errno.EIO: "Its disk fails: check it, and run again.",
}


class LittleMemoryError(PhotolineageError):
    """The system gives this process too little memory for a run."""


def sqlstate_of(error: DBAPIError) -> str | None:
    """PostgreSQL's code of an error; None on SQLite, and before there is a connection."""
    return getattr(error.orig, "sqlstate", None)


def is_refusal(error: DBAPIError) -> bool:
    """Whether the database cannot or may not do it. Every other error is a bug in the code."""
    return (
        isinstance(error, OperationalError | InternalError)
        or sqlstate_of(error) == NO_RIGHT
        or _MALFORMED in str(error.orig)
    )


def is_starting(error: DBAPIError) -> bool:
    """Whether the server has begun to start, and does not accept connections yet."""
    return any(said in str(error.orig).lower() for said in _STARTING)


def explain_database_error(error: DBAPIError) -> str:
    """The reason that the database gives, and the remedy."""
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    reason = (primary or str(error.orig)).strip().rstrip(".?")
    if is_starting(error):
        return (
            f"{reason}. The server has not started yet, or it recovers from a crash. Run again in a minute."
        )
    for symptom, remedy in _REMEDIES.items():
        if re.search(symptom, reason.lower()):
            return f"{reason}. {remedy}"
    return (
        f"{reason}. Start the server and run again, or correct the URL in photolineage.toml "
        f"(PHOTOLINEAGE_CATALOG__URL). {_KEPT}"
    )


def explain_refusal(error: BaseException) -> str | None:
    """The cause and the remedy, if a database, a disk or the system refused something; None for a bug in the code."""
    if isinstance(error, DBAPIError):
        if not is_refusal(error):
            return None
        if _is_of_dagster(error.__traceback__):
            home = os.environ.get("DAGSTER_HOME", "a temporary folder")
            return f"Dagster's database in {printable(home)}: {explain_database_error(error)}"
        return f"the catalog's database (catalog.url): {explain_database_error(error)}"
    if isinstance(error, OSError) and error.errno in _OF_FILES:
        where = "" if error.filename is None else f"{printable(os.fsdecode(error.filename))}: "
        return f"{where}{error.strerror}. {_OF_FILES[error.errno]}"
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _UNMAPPED in str(error)):
        return "memory ran out. End other programs, or lift the limit of this one (ulimit -v unlimited)."
    return None


def require_address_space() -> None:
    """Raise LittleMemoryError if the limit of this process is too low to load the libraries and decode photos.

    With less, libraries end the process without a word, and good photos would count as damaged.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise LittleMemoryError(
            f"this process may use only {limit / 1e9:.1f} GB of address space, and a run needs "
            f"{LEAST_ADDRESS_SPACE / 1e9:.0f} GB, most of it for libraries and not for memory. Lift the limit "
            "(ulimit -v unlimited). To limit the memory of photos, set decoding.memory_gb. Nothing was changed."
        )


def _is_of_dagster(traceback: TracebackType | None) -> bool:
    """Whether the innermost caller of the database is Dagster, and not Photolineage."""
    caller = ""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in {"dagster", "photolineage", "assets", "resources", "schema_checks"}:
            caller = module
        traceback = traceback.tb_next
    return caller.startswith("dagster")
