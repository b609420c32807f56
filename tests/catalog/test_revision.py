"""The newest revision as its file's name says it, and as Alembic does."""

from sqlalchemy import Engine

from photolineage.catalog.migrate import head_revision, is_at_newest_revision, newest_revision, upgrade


def test_the_newest_revision_is_alembics_head() -> None:
    assert newest_revision() == head_revision()


def test_a_migrated_catalog_is_at_the_newest_revision(empty_engine: Engine) -> None:
    with empty_engine.connect() as connection:
        assert not is_at_newest_revision(connection)
    upgrade(empty_engine)
    with empty_engine.connect() as connection:
        assert is_at_newest_revision(connection)


def test_another_revision_is_not_the_newest(catalog_engine: Engine) -> None:
    for statement in ("UPDATE alembic_version SET version_num = '0000'", "DELETE FROM alembic_version"):
        with catalog_engine.begin() as connection:
            connection.exec_driver_sql(statement)
        with catalog_engine.connect() as connection:
            assert not is_at_newest_revision(connection)
