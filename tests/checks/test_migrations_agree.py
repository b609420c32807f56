"""The migrations and the ORM say the same, on both databases."""

from sqlalchemy import Engine

from photolineage.catalog.migrate import catalog_revision, head_revision, upgrade
from photolineage.catalog.orm import Base
from photolineage.contract.comparison import compare


def test_a_migrated_catalog_has_no_drift_warnings_included(empty_engine: Engine) -> None:
    before = upgrade(empty_engine)
    assert before.found is None
    with empty_engine.connect() as connection:
        assert catalog_revision(connection).found == head_revision()
        assert compare(Base.metadata, connection) == []


def test_an_empty_database_lacks_every_table_of_the_orm(empty_engine: Engine) -> None:
    with empty_engine.connect() as connection:
        missing = [drift for drift in compare(Base.metadata, connection) if drift.kind == "missing_table"]
    assert sorted(drift.table for drift in missing) == sorted(Base.metadata.tables)
