"""Repairing a library: what a plan says, what is fixed, and what is left alone."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing

import pytest
from sqlalchemy import Connection, Row, inspect, select

from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.migration_plan import BackupRequiredError
from photolineage.catalog.orm import Image
from photolineage.catalog.vocabulary import ImageState
from photolineage.checks.catalog_contract import contract_report
from photolineage.checks.repair import RepairReport, plan_repair, repair_library
from photolineage.checks.repair_catalog import Outcome, RepairRefusedError
from photolineage.checks.stores import check_index_coverage
from photolineage.lineage import REGISTERED_IMAGES, JobKind
from photolineage.steps.freshness import find_stale_partitions
from photolineage.steps.lost_files import find_lost_files
from photolineage.stores.vector_index import IndexSchemaError, VectorIndex
from tests.library import Library


def execute(library: Library, *statements: str) -> None:
    with library.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def repair(library: Library, *, has_backup: bool = True, allow_data_loss: bool = False) -> RepairReport:
    return repair_library(
        library.context(), library.settings, has_backup=has_backup, allow_data_loss=allow_data_loss
    )


def outcomes(report: RepairReport) -> dict[str, Outcome]:
    return {one.where: one.outcome for one in report.repairs}


def images(library: Library) -> Sequence[Row[int, str, ImageState]]:
    with library.engine.connect() as connection:
        return connection.execute(select(Image.id, Image.path, Image.state).order_by(Image.id)).all()


def drifts(library: Library) -> int:
    return len(contract_report(library.engine).drifts)


def test_a_library_without_problems_has_nothing_to_repair(library: Library) -> None:
    library.build()
    assert plan_repair(library.engine, library.settings).repairs == ()
    report = repair(library)
    assert (report.repairs, report.backup, report.failed) == ((), None, False)


def test_a_column_and_indexes_come_back_and_the_rows_stay(any_library: Library) -> None:
    any_library.scan()
    before = images(any_library)
    execute(
        any_library,
        "ALTER TABLE image DROP COLUMN camera",
        "DROP INDEX ix_image_content_hash",
        "ALTER TABLE ml_job DROP COLUMN resumed",
    )
    planned = plan_repair(any_library.engine, any_library.settings)
    assert outcomes(planned)["image.camera"] is Outcome.PLANNED
    assert drifts(any_library) == 3

    report = repair(any_library)

    assert outcomes(report) == {
        "image.camera": Outcome.DONE,
        "image.ix_image_content_hash": Outcome.DONE,
        "ml_job.resumed": Outcome.DONE,
    }
    assert not report.failed
    assert drifts(any_library) == 0
    assert images(any_library) == before


def test_tables_that_sqlite_must_rebuild_keep_their_rows_and_those_that_refer_to_them(
    library: Library,
) -> None:
    """Several differences of two tables, one fixed by the rebuild for another."""
    library.scan()
    before, shards = images(library), library.shard_keys()
    schema = "SELECT sql FROM sqlite_master WHERE name = 'shard'"
    with library.engine.connect() as connection:
        sql = str(connection.exec_driver_sql(schema).scalar_one())
    loose = sql.replace("revision BIGINT NOT NULL", "revision BIGINT").replace(
        "capacity INTEGER NOT NULL", "capacity INTEGER"
    )
    assert loose != sql
    with closing(sqlite3.connect(str(library.engine.url.database))) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'shard'", [loose])
        raw.commit()
    library.engine.dispose()
    assert drifts(library) == 2

    report = repair(library)

    assert set(outcomes(report).values()) == {Outcome.DONE}
    assert report.backup is not None
    assert drifts(library) == 0
    assert (images(library), library.shard_keys()) == (before, shards)
    with library.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar_one() == 0


def test_the_backup_is_the_catalog_before(library: Library) -> None:
    library.scan()
    execute(library, "DROP INDEX ix_image_content_hash")
    report = repair(library)
    assert report.backup is not None
    with closing(sqlite3.connect(report.backup)) as copy:
        names = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'index'")]
        assert "ix_image_content_hash" not in names
        assert copy.execute("SELECT count(*) FROM image").fetchone() == (len(images(library)),)


def has_rating(connection: Connection) -> bool:
    return any(column["name"] == "rating" for column in inspect(connection).get_columns("image"))


def test_a_fix_that_loses_data_has_a_switch_of_its_own(any_library: Library) -> None:
    execute(any_library, "ALTER TABLE image ADD COLUMN rating INTEGER")

    report = repair(any_library)
    assert outcomes(report) == {"image.rating": Outcome.LOSES_DATA}
    assert report.backup is None
    with any_library.engine.connect() as connection:
        assert has_rating(connection)

    report = repair(any_library, allow_data_loss=True)
    assert outcomes(report) == {"image.rating": Outcome.DONE}
    with any_library.engine.connect() as connection:
        assert not has_rating(connection)


def test_a_fix_that_the_rows_do_not_fit_is_refused_and_the_others_are_applied(any_library: Library) -> None:
    any_library.scan()
    execute(
        any_library,
        "DROP INDEX ix_image_content_hash",
        "DROP INDEX uq_ml_job_lease",
        "UPDATE ml_job SET state = 'running'",
        f"INSERT INTO ml_job (id, {JOB_COLUMNS}) SELECT id + 100, {JOB_COLUMNS} FROM ml_job",
    )
    report = repair(any_library)
    assert outcomes(report)["image.ix_image_content_hash"] is Outcome.DONE
    assert outcomes(report)["ml_job.uq_ml_job_lease"] is Outcome.REFUSED
    assert report.failed
    (refused,) = [one for one in report.repairs if one.outcome is Outcome.REFUSED]
    assert "UNIQUE" in refused.how.upper()


JOB_COLUMNS = (
    "kind, subject, run_id, host, pid, process_started_at, state, input_version, total, done, resumed, failed, "
    "error, started_at, heartbeat_at, finished_at"
)


def test_a_postgresql_catalog_is_changed_only_after_a_confirmed_backup(any_library: Library) -> None:
    execute(any_library, "DROP INDEX ix_image_content_hash")
    if any_library.engine.dialect.name == "sqlite":
        assert repair(any_library, has_backup=False).backup is not None
        return
    with pytest.raises(BackupRequiredError, match=r"`photolineage repair --apply --i-have-a-backup`"):
        repair(any_library, has_backup=False)
    assert drifts(any_library) == 1


def test_pending_migrations_come_first(library: Library) -> None:
    execute(library, "UPDATE alembic_version SET version_num = '0010'", "DROP INDEX ix_image_content_hash")
    with pytest.raises(RepairRefusedError, match="job `migrate_catalog`"):
        plan_repair(library.engine, library.settings)
    with pytest.raises(RepairRefusedError, match="job `migrate_catalog`"):
        repair(library)


def give_index_another_dimension(library: Library) -> VectorIndex:
    """The index of `tiny-b`, of 24 dimensions, in the place of that of `tiny-a`, of 16."""
    folder = library.settings.home / "index"
    shutil.rmtree(folder / "tiny-a.lance")
    shutil.copytree(folder / "tiny-b.lance", folder / "tiny-a.lance")
    return library.indexes.open("tiny-a", 16)


def test_an_index_of_another_dimension_is_rebuilt(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    index = give_index_another_dimension(library)
    with pytest.raises(IndexSchemaError, match=r"Launch the job `repair` with `apply: true`"):
        index.recall_at_k()
    with pytest.raises(IndexSchemaError, match=r"Launch the job `repair` with `apply: true`"):
        library.index("tiny-a")
    planned = plan_repair(library.engine, library.settings)
    assert outcomes(planned) == {"vector_index tiny-a": Outcome.PLANNED}
    with pytest.raises(IndexSchemaError):
        library.indexes.open("tiny-a", 16).recall_at_k()

    assert outcomes(repair(library)) == {"vector_index tiny-a": Outcome.DONE}

    with library.engine.connect() as connection:
        found = check_index_coverage(connection, library.embeddings, library.indexes, "tiny-a")
    assert (found.looked_at, found.holds) == (26, True)
    assert library.indexes.open("tiny-b", 24).row_count() == 26


def test_an_index_that_a_run_is_building_is_left_to_it(library: Library) -> None:
    library.build("tiny-a", "tiny-b")
    give_index_another_dimension(library)
    context = library.context("another-run")
    acquire_lease(
        library.engine, JobKind.INDEX, "tiny-a", run_id="r", input_version="", timeout=context.lease_timeout
    )
    report = repair(library)
    assert outcomes(report) == {"vector_index tiny-a": Outcome.REFUSED}
    assert "lease" in report.repairs[0].how
    assert report.failed


def test_lost_files_are_due_at_once_each_time(library: Library) -> None:
    library.build()
    next((library.settings.home / "previews").rglob("*.arrow")).unlink()
    next((library.settings.home / "embeddings").rglob("*.parquet")).unlink()

    def due() -> dict[str, str]:
        with library.engine.connect() as connection:
            lost = find_lost_files(connection, library.files, library.indexes, ["tiny-a"])
            found = find_stale_partitions(connection, REGISTERED_IMAGES, ["tiny-a"], lost)
        return {stale.subject: stale.version for stale in found}

    before = due()
    assert len(before) == 1
    planned = plan_repair(library.engine, library.settings)
    assert {one.what for one in planned.repairs} == {"lost preview files", "lost embedding files"}
    assert due() == before

    assert set(outcomes(repair(library)).values()) == {Outcome.DONE}

    after = due()
    assert after.keys() == before.keys()
    assert after != before, "the sensor starts each version only once"
    library.register_all()
    library.embed_all()
    library.index()
    assert due() == {}
    assert plan_repair(library.engine, library.settings).repairs == ()


def test_files_on_a_disk_that_is_not_mounted_are_not_touched(library: Library) -> None:
    library.build()
    shutil.rmtree(library.settings.home / "embeddings")
    report = repair(library)
    assert outcomes(report) == {"files": Outcome.BY_HAND}
    assert "embeddings" in report.repairs[0].how
