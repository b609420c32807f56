"""Transactions: short, explicit, and safe beside other writers."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from photolineage.catalog.engine import (
    CatalogUnreachableError,
    create_catalog_engine,
    is_transient,
    require_reachable,
    run_in_transaction,
    write_transaction,
)
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import MlJob, Shard, Source
from photolineage.catalog.vocabulary import JobState
from tests.catalog.conftest import NOW

ROOT = Path(__file__).parents[2]
WRITERS, COMMITS = 8, 25


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Engine:
    engine = create_catalog_engine(f"sqlite:///{tmp_path}/new/folder/catalog.db")
    upgrade(engine)
    return engine


def pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_sqlite_is_set_up_for_many_writers(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection:
        assert pragma(connection, "journal_mode") == "wal"
        assert pragma(connection, "foreign_keys") == 1
        assert pragma(connection, "busy_timeout") == 30_000


def test_a_write_transaction_holds_the_lock_from_its_beginning(sqlite_engine: Engine) -> None:
    with (
        write_transaction(sqlite_engine),
        sqlite_engine.execution_options(sqlite_begin="PRAGMA busy_timeout = 20").connect() as connection,
    ):
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(OperationalError, match="database is locked"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def test_a_reader_neither_waits_for_a_writer_nor_sees_what_is_not_committed(catalog_engine: Engine) -> None:
    with write_transaction(catalog_engine) as writer:
        writer.execute(insert(Source).values(key="photos", root="/photos", created_at=NOW))
        with catalog_engine.connect() as reader:
            assert reader.execute(select(func.count(Source.id))).scalar_one() == 0
    with catalog_engine.connect() as reader:
        assert reader.execute(select(func.count(Source.id))).scalar_one() == 1


def test_an_error_rolls_everything_back(catalog_engine: Engine) -> None:
    def work(connection: Connection) -> None:
        for _ in range(2):
            connection.execute(insert(Source).values(key="photos", root="/photos", created_at=NOW))

    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        run_in_transaction(catalog_engine, work)
    with catalog_engine.connect() as connection:
        assert connection.execute(select(func.count(Source.id))).scalar_one() == 0


@pytest.mark.timeout(120)
def test_many_processes_write_at_once_without_a_lock_error(catalog_engine: Engine, shard_id: int) -> None:
    url = catalog_engine.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.catalog.writing_process", url, str(number), str(COMMITS)],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for number in range(WRITERS)
    ]  # fmt: skip
    errors = [process.communicate(timeout=100)[1] for process in processes]
    assert errors == [""] * WRITERS
    with catalog_engine.connect() as connection:
        added = connection.execute(select(Shard.image_count).where(Shard.id == shard_id)).scalar_one()
        shards = connection.execute(select(func.count(Shard.id))).scalar_one()
        jobs = connection.execute(select(MlJob.state, MlJob.done)).all()
    assert added == WRITERS * COMMITS
    assert shards == 1 + WRITERS * COMMITS
    assert [tuple(job) for job in jobs] == [(JobState.SUCCEEDED, COMMITS)] * WRITERS


def test_a_lock_that_outlasts_the_busy_timeout_is_waited_for_by_a_retry(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photolineage.catalog.engine.SQLITE_BUSY_TIMEOUT_MS", 20)
    impatient = create_catalog_engine(str(sqlite_engine.url))
    release, attempts = threading.Event(), []

    def hold() -> None:
        with write_transaction(sqlite_engine):
            held.set()
            release.wait(20)

    def work(connection: Connection) -> int:
        attempts.append("reached")
        return connection.execute(text("SELECT 42")).scalar_one()

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    threading.Timer(0.3, release.set).start()
    assert run_in_transaction(impatient, work) == 42
    holder.join()
    assert attempts == ["reached"]


def test_a_serialization_conflict_is_run_again(postgresql_database: object) -> None:
    engine = create_catalog_engine(postgresql_database.render_as_string(hide_password=False))  # type: ignore[attr-defined]
    attempts: list[int] = []

    def work(connection: Connection) -> str:
        attempts.append(1)
        if len(attempts) < 3:
            connection.exec_driver_sql(
                "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = 'serialization_failure'; END $$"
            )
        return "done"

    assert run_in_transaction(engine, work) == "done"
    assert len(attempts) == 3
    engine.dispose()


def test_a_connection_that_the_server_cut_is_replaced(postgresql_database: object) -> None:
    engine = create_catalog_engine(postgresql_database.render_as_string(hide_password=False))  # type: ignore[attr-defined]
    attempts: list[int] = []

    def work(connection: Connection) -> int:
        attempts.append(1)
        if len(attempts) == 1:
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        return connection.execute(text("SELECT 42")).scalar_one()

    assert run_in_transaction(engine, work) == 42
    assert len(attempts) == 2
    engine.dispose()


def test_errors_that_a_retry_cannot_mend_are_not_transient(catalog_engine: Engine) -> None:
    with pytest.raises(DBAPIError, match="no_such_table") as missing, catalog_engine.connect() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
    assert not is_transient(missing.value)
    assert not is_transient(ValueError("database is locked"))


def test_other_databases_are_refused() -> None:
    with pytest.raises(
        CatalogUnreachableError, match=r"catalog\.url = 'mysql://h/d': mysql is not supported\. Valid: sqlite"
    ):
        create_catalog_engine("mysql://h/d")


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    engine = create_catalog_engine("postgresql://me:secret@127.0.0.1:9/photos")
    with pytest.raises(CatalogUnreachableError) as error:
        require_reachable(engine)
    assert "catalog.url = 'postgresql://127.0.0.1:9/photos'" in str(error.value)
    assert "PHOTOLINEAGE_CATALOG__URL" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_sqlite_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").mkdir()
    engine = create_catalog_engine(f"sqlite:///{tmp_path}/catalog.db")
    with pytest.raises(CatalogUnreachableError, match=r"catalog\.db.*unable to open database file"):
        require_reachable(engine)
