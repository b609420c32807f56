"""The contract as a writer asks for it, on both databases."""

import pytest
from sqlalchemy import URL, Engine, NullPool, create_engine

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.migrate import head_revision, upgrade
from photolineage.checks.catalog_contract import contract_report
from photolineage.contract.drift import DriftKind


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_migrated_catalog_holds(catalog_engine: Engine) -> None:
    report = contract_report(catalog_engine)
    assert report.holds
    assert report.drifts == ()
    assert report.summary == f"The database matches the code (revision {head_revision()})."
    assert report.revisions_to_come == ()


def test_an_empty_database_names_the_migrations_to_come(empty_engine: Engine) -> None:
    report = contract_report(empty_engine)
    assert not report.holds
    assert report.revision_found is None
    assert report.summary.startswith(
        f"The catalog is at revision none, and this code needs {head_revision()}."
    )
    assert report.revisions_to_come[0].startswith("0001 (")


def test_a_catalog_of_a_newer_version_does_not_hold(catalog_engine: Engine) -> None:
    execute(catalog_engine, "UPDATE alembic_version SET version_num = '9999'")
    report = contract_report(catalog_engine)
    assert not report.holds
    assert "revision 9999" in report.summary
    assert "Install that version." in report.summary


def test_only_the_tables_asked_for_count(catalog_engine: Engine) -> None:
    execute(catalog_engine, "ALTER TABLE image DROP COLUMN camera")

    assert contract_report(catalog_engine, frozenset({"source", "event"})).holds
    report = contract_report(catalog_engine, frozenset({"image", "event"}))

    assert not report.holds
    assert report.summary == (
        "1 difference (1 error) between the code and the database, in image. Launch the job `repair`, or run "
        "`photolineage repair`: it shows the fixes that lose no data, and applies them with `apply: true` (--apply)."
    )
    assert [drift.kind for drift in report.drifts] == [DriftKind.MISSING_COLUMN]


def test_a_warning_does_not_stop_a_writer(catalog_engine: Engine) -> None:
    execute(catalog_engine, "CREATE INDEX ix_of_somebody ON image (width)")
    report = contract_report(catalog_engine, frozenset({"image"}))
    assert len(report.drifts) == 1
    assert report.holds
    assert report.summary.startswith(
        "1 difference (0 errors) between the code and the database, in image. Launch the job `repair`, "
    )


def test_a_style_of_dates_that_cannot_be_read_is_an_error(migrated_postgresql_database: URL) -> None:
    engine = create_engine(migrated_postgresql_database, poolclass=NullPool)
    execute(engine, f"ALTER DATABASE {engine.url.database} SET DateStyle TO 'SQL, DMY'")
    report = contract_report(engine, frozenset({"image"}))
    assert not report.holds
    (drift,) = report.drifts
    assert (drift.kind, drift.name, drift.actual) == (DriftKind.DATABASE_SETTING, "DateStyle", "SQL, DMY")
    with engine.connect() as connection, pytest.raises(NotImplementedError):
        connection.exec_driver_sql("SELECT now()").scalar_one()
    for statement in drift.fix.safe:
        execute(engine, statement)
    assert contract_report(engine).drifts == ()


def test_a_database_that_cannot_hold_every_character_is_an_error(postgresql_server: URL) -> None:
    name = "photolineage_latin"
    server = create_engine(postgresql_server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    execute_alone(
        server, f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    try:
        engine = create_catalog_engine(str(postgresql_server.set(database=name).render_as_string(False)))
        upgrade(engine)
        report = contract_report(engine)
        engine.dispose()
    finally:
        execute_alone(server, f"DROP DATABASE {name} WITH (FORCE)")
    assert not report.holds
    assert [(d.kind, d.name, d.actual) for d in report.drifts] == [
        (DriftKind.DATABASE_SETTING, "server_encoding", "LATIN1")
    ]
    assert "ENCODING 'UTF8'" in report.drifts[0].fix.note


def execute_alone(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
