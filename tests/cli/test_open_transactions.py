"""No step, command, job or sensor accesses files while it has a transaction of the catalog open."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import URL, Engine, create_engine, select

from photolineage.album.folder import AlbumFolder
from photolineage.catalog.engine import reading, write_transaction
from photolineage.catalog.orm import Source
from photolineage.stores.files import LocalFiles
from photolineage.stores.previews import PreviewReader
from photolineage.stores.vector_index import VectorIndex
from tests.command_line import photolineage
from tests.lineage import CONFIGURATION, QUIET, Lineage, failure_of, open_lineage
from tests.open_transactions import accesses_in_transactions
from tests.orchestration.sensor_ticks import tick

COMMANDS: tuple[list[str], ...] = (
    ["run", "--model", "tiny-a", "--model", "tiny-b"],
    ["run"],
    ["status"],
    ["events"],
    ["events", "--sheet", "{folder}/covers.jpg"],
    ["search", "--image-id", "1", "--sheet", "{folder}/hits.jpg"],
    ["search", "a dog", "--since", "2023-01-01"],
    ["why", "1"],
    ["why", "2", "a dog"],
    ["compare", "tiny-b", "--sheet", "{folder}/compared.jpg"],
    ["report", "{folder}/album"],
    ["report", "{folder}/album"],
    ["check"],
    ["migrate"],
    ["adopt"],
    ["repair"],
    ["repair", "--apply"],
    ["retire", "tiny-b"],
)
JOBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("check_contract", QUIET),
    ("check_freshness", QUIET),
    ("explain_photo", {"photo": "1", "query": "a dog"}),
    ("maintain_indexes", QUIET),
    ("migrate_catalog", {}),
    ("promote_model", {"model": "tiny-b"}),
    ("repair", {"apply": True}),
    ("retire_model", {"model": "tiny-a", "delete_files": True}),
    ("sweep_files", {}),
)


def run_commands(lineage: Lineage, folder: Path) -> None:
    for command in COMMANDS:
        done = photolineage(lineage, *(part.format(folder=folder) for part in command))
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def run_jobs(lineage: Lineage) -> None:
    tick(lineage)
    for name, config in JOBS:
        if name == "retire_model":  # only a model that is not configured is retired
            lineage.library.settings.models.pop("tiny-a")
        result = lineage.definitions.resolve_job_def(name).execute_in_process(
            instance=lineage.instance, run_config=config, raise_on_error=False
        )
        assert result.success, (name, failure_of(result))


def test_files_are_accessed_outside_of_transactions(new_lineage: Lineage, tmp_path: Path) -> None:
    with accesses_in_transactions() as found:
        run_commands(new_lineage, tmp_path)
        new_lineage.must_materialize("model_comparison", "tiny-b")
        run_jobs(new_lineage)
    assert sorted(found) == []


@pytest.mark.parametrize("transaction", [Engine.begin, write_transaction, Engine.connect])
def test_an_access_in_a_transaction_is_found(
    transaction: Callable[[Engine], Any], lineage: Lineage, tmp_path: Path
) -> None:
    with accesses_in_transactions() as found:
        engine = lineage.library.settings.catalog.open_engine()
        with transaction(engine) as connection:
            connection.execute(select(Source)).all()
            (tmp_path / "file").write_text("")
            lineage.library.files.list_files("previews")
        assert found == {": open", ": LocalFiles.list_files", "files.list_files: os.scandir"}
        found.clear()
        (tmp_path / "file").write_text("")
        with reading(engine) as connection:
            connection.execute(select(Source)).all()
            (tmp_path / "file").write_text("")
        assert found == set()
        with reading(engine) as connection:
            rows = connection.execute(select(Source.key))
            (tmp_path / "file").write_text("")
            assert found == {": open"}
            rows.all()
        engine.dispose()


@contextmanager
def slow_files(seconds: float) -> Iterator[Callable[[], None]]:
    """Each kind of access to a file takes some time once, and once more after each call of what is returned."""
    methods = [
        (LocalFiles, "local"),
        (LocalFiles, "write"),
        (LocalFiles, "list_files"),
        (PreviewReader, "jpeg"),
        (VectorIndex, "search"),
        (VectorIndex, "vectors_of"),
        (VectorIndex, "live_rows"),
        (AlbumFolder, "write_picture"),
        (AlbumFolder, "write_page"),
    ]
    waited: set[str] = set()
    numbers = count()

    def slowed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*arguments: Any, **named: Any) -> Any:
            if name not in waited:
                waited.add(name)
                next(numbers)
                time.sleep(seconds)
            return method(*arguments, **named)

        return slow

    patches = [
        patch.object(cls, name, slowed(f"{cls.__name__}.{name}", getattr(cls, name))) for cls, name in methods
    ]
    for one in patches:
        one.start()
    try:
        yield waited.clear
    finally:
        for one in patches:
            one.stop()
    assert next(numbers) > len(methods)


@pytest.fixture
def impatient_lineage(
    tmp_path: Path, new_library_folder: Path, postgresql_database: URL
) -> Iterator[Lineage]:
    """A new library whose PostgreSQL ends a session that is idle in a transaction for a second."""
    engine = create_engine(postgresql_database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"ALTER DATABASE {postgresql_database.database} SET idle_in_transaction_session_timeout TO '1s'"
        )
    engine.dispose()
    folder = tmp_path / "library"
    shutil.copytree(new_library_folder / "photos", folder / "photos")
    url = postgresql_database.render_as_string(hide_password=False)
    (folder / CONFIGURATION).write_text(
        f'catalog.url = "{url}"\n{(new_library_folder / CONFIGURATION).read_text()}'
    )
    with open_lineage(folder / CONFIGURATION) as lineage:
        yield lineage


def test_postgresql_ends_no_session_while_files_are_slow(impatient_lineage: Lineage, tmp_path: Path) -> None:
    with slow_files(1.3) as again:
        for command in COMMANDS:
            again()
            done = photolineage(impatient_lineage, *(part.format(folder=tmp_path) for part in command))
            assert done.returncode == 0, (command, done.stdout, done.stderr)
