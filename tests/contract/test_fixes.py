"""Safe fixes keep all rows. Statements that lose data are marked as destructive and come last."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, StaticPool, create_engine

from photolineage.contract.comparison import compare
from photolineage.contract.drift import DriftKind, Severity
from workloads.contract_cases.field_drifts import SQLITE_FIELD_DRIFTS
from workloads.contract_cases.fixing import apply_fixes, run
from workloads.contract_cases.sqlite_metadata import gallery


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        yield connection
    engine.dispose()


def test_a_rebuild_keeps_rows_children_triggers_and_foreign_indexes(connection: Connection) -> None:
    gallery().create_all(connection)
    for statement in (
        "INSERT INTO shard (id, source) VALUES (1, 'a')",
        "INSERT INTO image (id, path, shard_id) VALUES (7, 'a.jpg', 1)",
        "CREATE TRIGGER t AFTER INSERT ON shard BEGIN UPDATE image SET rating = 1; END",
        "CREATE INDEX ix_of_another ON shard (revision)",
        "ALTER TABLE shard ADD COLUMN legacy TEXT DEFAULT 'kept'",
    ):
        connection.exec_driver_sql(statement)
    metadata = gallery()
    metadata.tables["shard"].append_constraint(sa.CheckConstraint("revision >= 0", name="ck_revision"))
    drift = next(drift for drift in compare(metadata, connection) if drift.kind is DriftKind.CHECK_MISSING)
    run(connection, drift.fix.safe)
    assert connection.exec_driver_sql("SELECT id, source, legacy FROM shard").all() == [(1, "a", "kept")]
    assert connection.exec_driver_sql("SELECT id, shard_id FROM image").all() == [(7, 1)]
    left = {(drift.kind, drift.name) for drift in compare(metadata, connection)}
    assert left == {(DriftKind.EXTRA_COLUMN, "legacy"), (DriftKind.INDEX_EXTRA, "ix_of_another")}
    triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    assert triggers.scalars().all() == ["t"]
    assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_a_rebuild_that_the_rows_refuse_can_be_undone(connection: Connection) -> None:
    gallery().create_all(connection)
    connection.exec_driver_sql("INSERT INTO job (kind, note, attempts) VALUES ('scan', 'long', 0)")
    metadata = gallery()
    metadata.tables["job"].append_constraint(sa.CheckConstraint("note = 'none'", name="ck_note"))
    (drift,) = compare(metadata, connection)
    with pytest.raises(Exception, match="CHECK constraint failed: ck_note"):
        run(connection, drift.fix.safe)
    connection.connection.cursor().execute("ROLLBACK")
    assert connection.exec_driver_sql("SELECT kind, note FROM job").all() == [("scan", "long")]


def test_stored_names_become_values(connection: Connection) -> None:
    case = next(case for case in SQLITE_FIELD_DRIFTS if case.name == "enum_names_for_values")
    metadata = case.build(connection)
    connection.exec_driver_sql("INSERT INTO videos (state) VALUES ('QUEUED'), ('ENCODED')")
    assert apply_fixes(metadata, connection) == []
    assert connection.exec_driver_sql("SELECT state FROM videos").scalars().all() == ["queued", "encoded"]


def test_a_rebuild_does_not_reuse_numbers_of_deleted_rows(connection: Connection) -> None:
    gallery().create_all(connection)
    connection.exec_driver_sql("INSERT INTO job (id, kind, attempts) VALUES (41, 'scan', 0)")
    connection.exec_driver_sql("DELETE FROM job")
    metadata = gallery()
    metadata.tables["job"].append_constraint(sa.CheckConstraint("attempts >= 0", name="ck_attempts"))
    assert apply_fixes(metadata, connection) == []
    connection.exec_driver_sql("INSERT INTO job (kind, attempts) VALUES ('scan', 0)")
    assert connection.exec_driver_sql("SELECT id FROM job").scalars().all() == [42]


def test_safe_statements_never_lose_data(connection: Connection) -> None:
    gallery().create_all(connection)
    connection.exec_driver_sql("CREATE TABLE legacy (id INTEGER)")
    connection.exec_driver_sql("ALTER TABLE job ADD COLUMN old TEXT")
    drifts = {drift.name: drift for drift in compare(gallery(), connection)}
    assert drifts["legacy"].fix.safe == ()
    assert drifts["legacy"].fix.destructive == ("DROP TABLE legacy",)
    assert drifts["old"].fix.safe == ()
    assert drifts["old"].fix.destructive != ()
    assert {drift.severity for drift in drifts.values()} == {Severity.WARNING}
