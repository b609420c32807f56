"""The contract as a writer asks for it, on both databases."""

from sqlalchemy import Engine

from photolineage.catalog.migrate import head_revision
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
    assert report.summary == (
        "The catalog has no tables yet. Materialize catalog_schema, or run `photolineage migrate`."
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
