"""The benchmark on real projects judges by readings of its own: they see a difference, and only a difference."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, MetaData, StaticPool, create_engine
from sqlalchemy.exc import DBAPIError

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Drift, DriftKind, Severity
from workloads.contract_projects.judging import claim, claims_of_alembic, is_true
from workloads.contract_projects.migrating import created
from workloads.contract_projects.planting import plants
from workloads.contract_projects.readings import Part, differences, read

_LIVE = (
    "CREATE TABLE photo (id INTEGER NOT NULL, title VARCHAR(20) DEFAULT 'none', size BIGINT, PRIMARY KEY (id))",
    "CREATE INDEX ix_photo_size ON photo (size)",
)


def _models() -> MetaData:
    metadata = MetaData()
    sa.Table(
        "photo",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(10), server_default="none"),
        sa.Column("size", sa.Integer, index=True),
    )
    return metadata


@contextmanager
def _database(*statements: str) -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        yield connection
    engine.dispose()


def _found(*statements: str) -> tuple[dict[Part, str], list[tuple[str, bool]]]:
    """What differs between the models and the database, and whether each drift is true."""
    model = create_engine("sqlite://", poolclass=StaticPool)
    assert created([_models()], model) == []
    with _database(*_LIVE, *statements) as live, model.connect() as expected:
        wanted, actual = read(expected), read(live)
        real = differences(wanted, actual)
        drifts = compare(_models(), live)
        return real, [(drift.kind.value, is_true(drift, real, wanted, actual, [])) for drift in drifts]


def test_other_words_for_the_same_behaviour_do_not_differ() -> None:
    assert _found() == ({}, [])


@pytest.mark.parametrize(
    ("statement", "part", "kind"),
    [
        ("ALTER TABLE photo ADD COLUMN legacy TEXT", ("photo", "column", "legacy"), "extra_column"),
        ("ALTER TABLE photo DROP COLUMN title", ("photo", "column", "title"), "missing_column"),
        ("DROP INDEX ix_photo_size", ("photo", "index", "ix_photo_size, size"), "index_missing"),
        ("CREATE UNIQUE INDEX ux ON photo (title)", ("photo", "index", "ux, title"), "index_extra"),
        ("CREATE TABLE attic (id INTEGER)", ("attic", "table", "attic"), "extra_table"),
    ],
)
def test_a_difference_is_seen_and_the_drift_is_true(statement: str, part: Part, kind: str) -> None:
    real, judged = _found(statement)
    assert list(real) == [part]
    assert judged == [(kind, True)]


def test_an_invented_drift_is_false_and_covers_nothing() -> None:
    real, _ = _found("ALTER TABLE photo ADD COLUMN legacy TEXT")
    invented = Drift(DriftKind.TYPE, "photo", "size", ("size",), "TEXT", "INTEGER", Severity.ERROR)
    with _database(*_LIVE) as live:
        reading = read(live)
    assert not is_true(invented, real, reading, reading, [])
    assert not any(claim(invented).covers(part) for part in real)


def test_alembic_is_judged_by_the_same_parts() -> None:
    real, _ = _found("ALTER TABLE photo DROP COLUMN title", "CREATE INDEX ix_new ON photo (id)")
    with _database(
        *_LIVE, "ALTER TABLE photo DROP COLUMN title", "CREATE INDEX ix_new ON photo (id)"
    ) as live:
        claims = claims_of_alembic([_models()], live)
    assert all(any(each.covers(part) for each in claims) for part in real)


def test_every_planted_drift_is_found(new_postgresql_database: Callable[[], sa.URL]) -> None:
    engine = create_engine(new_postgresql_database())
    metadata = _models()
    sa.Table(
        "album",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("photo_id", sa.ForeignKey("photo.id")),
        sa.Column("name", sa.String(30), nullable=False, server_default="x"),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.UniqueConstraint("name"),
        sa.CheckConstraint("name <> ''"),
    )
    assert created([metadata], engine) == []
    planted: set[str] = set()
    with engine.connect() as connection:
        before = read(connection)
        connection.rollback()
        for plant in plants(before, "postgresql", {}, "seed"):
            if plant.kind in planted:
                continue
            try:
                for statement in plant.statements:
                    connection.exec_driver_sql(statement)
            except DBAPIError:
                connection.rollback()
                continue
            claims = [claim(drift) for drift in compare(metadata, connection)]
            connection.rollback()
            assert any(each.covers(plant.part) for each in claims), plant
            planted.add(plant.kind)
    engine.dispose()
    assert len(planted) == 17
