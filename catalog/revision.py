"""Whether a catalog is at the newest revision, told without Alembic, whose import every command would wait for."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"


def newest_revision() -> str:
    """The revision that this code was written for: migrations are named by their revision, in order."""
    return max(path.stem.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))


def is_at_newest_revision(connection: Connection) -> bool:
    """Whether the database is at the revision that the code wants; what is wrong otherwise, `catalog.migrate` says."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return list(found) == [newest_revision()]
