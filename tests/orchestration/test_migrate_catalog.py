"""The job `migrate_catalog`: shows the SQL, and applies it only when asked to."""

from datetime import timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult
from sqlalchemy import URL, Engine, inspect

from assets.orchestration.migrate_catalog import migrate_catalog_job
from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.migrate import head_revision
from photolineage.catalog.migration_plan import BackupRequiredError, apply_migration
from photolineage.catalog.orm import Base
from photolineage.settings import CatalogSettings
from resources.home import CatalogResource, StorageResource


def run_job(url: str, home: Path, **config: bool) -> ExecuteInProcessResult:
    return migrate_catalog_job().execute_in_process(
        instance=DagsterInstance.ephemeral(),
        resources={
            "catalog": CatalogResource(CatalogSettings(url=url), home, timedelta(seconds=60)),
            "storage": StorageResource(home),
        },
        run_config=config,
        raise_on_error=False,
    )


def output_metadata(run: ExecuteInProcessResult) -> dict[str, str]:
    (event,) = [event for event in run.all_events if event.event_type_value == "STEP_OUTPUT"]
    return {name: str(value.value) for name, value in event.step_output_data.metadata.items()}


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_a_dry_run_shows_the_sql_and_changes_nothing(
    empty_catalog_url: str, empty_engine: Engine, tmp_path: Path
) -> None:
    run = run_job(empty_catalog_url, tmp_path)
    assert run.success
    shown = output_metadata(run)
    assert (shown["revision_found"], shown["revision_expected"]) == ("none", head_revision())
    assert all(f"CREATE TABLE {table} " in shown["sql"] for table in Base.metadata.tables)
    assert tables(empty_engine) == set()


def test_it_applies_verifies_and_then_has_nothing_to_do(
    empty_catalog_url: str, empty_engine: Engine, tmp_path: Path
) -> None:
    run = run_job(empty_catalog_url, tmp_path, dry_run=False)
    assert run.success
    assert "records=[]," in output_metadata(run)["differences"]
    assert tables(empty_engine) == set(Base.metadata.tables) | {"alembic_version"}
    again = output_metadata(run_job(empty_catalog_url, tmp_path, dry_run=False))
    assert "-- no pending migrations" in again["sql"]
    assert again["revision_found"] == head_revision()


def test_foreign_tables_are_refused_and_left_alone(
    empty_catalog_url: str, empty_engine: Engine, tmp_path: Path
) -> None:
    with empty_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE somebody_elses (id INTEGER)")
    run = run_job(empty_catalog_url, tmp_path, dry_run=False)
    assert not run.success
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert "has tables, but no revision in the table alembic_version" in str(
        failure.step_failure_data.user_failure_data.description
    )
    assert tables(empty_engine) == {"somebody_elses"}


@pytest.mark.parametrize("has_backup", [False, True])
def test_who_has_no_backup_is_told_how_to_make_one(
    postgresql_database: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_backup: bool
) -> None:
    engine = create_catalog_engine(postgresql_database.render_as_string(hide_password=False))
    apply_migration(engine, tmp_path, has_backup=False)
    # As the next release will find it: the same tables, one revision behind what the code wants.
    monkeypatch.setattr("photolineage.catalog.migrate.is_at_newest_revision", lambda connection: False)
    monkeypatch.setattr("photolineage.catalog.migrate.head_revision", lambda: "0002")
    if has_backup:
        apply_migration(engine, tmp_path, has_backup=True)
    else:
        with pytest.raises(BackupRequiredError, match=r"pg_dump .* `photolineage migrate --i-have-a-backup`"):
            apply_migration(engine, tmp_path, has_backup=False)
    engine.dispose()
