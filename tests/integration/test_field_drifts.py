"""Drifts that were found in real databases, planted in the catalog on both databases, through Dagster.

The check finds each before a row is written, names the difference, and shows the statements that fix it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from dagster import DagsterInstance
from sqlalchemy import Engine, func, select

from assets.orchestration.build import build_definitions
from assets.orchestration.partitions import SHARDS
from photolineage.catalog.orm import Base, Image, MlJob
from photolineage.catalog.vocabulary import ImageState
from tests.library import Library
from tests.lineage import Lineage, differences, failure_of
from workloads.contract_cases.fixing import apply_fixes


@dataclass(frozen=True)
class FieldDrift:
    """The statements that cause the drift, by dialect, and the row that the check's table must show."""

    statements: Mapping[str, tuple[str, ...]]
    shown: tuple[str, str]


def on_both(*statements: str) -> Mapping[str, tuple[str, ...]]:
    return {"sqlite": statements, "postgresql": statements}


DRIFTS = {
    "no such table: ml_job": FieldDrift(
        {"sqlite": ("DROP TABLE ml_job",), "postgresql": ("DROP TABLE ml_job CASCADE",)},
        ("missing table", "ml_job"),
    ),
    "a column of the ORM is not in the database": FieldDrift(
        on_both("ALTER TABLE image DROP COLUMN camera"), ("missing column", "image.camera")
    ),
    "a column lives in another table": FieldDrift(
        on_both("ALTER TABLE image DROP COLUMN camera", "ALTER TABLE shard ADD COLUMN camera TEXT"),
        ("missing column", "image.camera"),
    ),
    "an enum type has another name": FieldDrift(
        {"postgresql": ("ALTER TYPE image_state RENAME TO imagestate",)}, ("enum name", "image_state")
    ),
    "enum names in the place of values": FieldDrift(
        {"postgresql": ("ALTER TYPE image_state RENAME VALUE 'registered' TO 'REGISTERED'",)},
        ("enum values", "image_state"),
    ),
    "a foreign key names another column": FieldDrift(
        {
            "postgresql": (
                "ALTER TABLE shard_file DROP CONSTRAINT fk_shard_file_job_id_ml_job",
                (
                    "ALTER TABLE shard_file ADD CONSTRAINT fk_shard_file_job_id_ml_job "
                    "FOREIGN KEY (job_id) REFERENCES shard (id) NOT VALID"
                ),
            )
        },
        ("fk changed", "fk_shard_file_job_id_ml_job"),
    ),
}
CASES = [
    pytest.param(name, dialect, id=f"{dialect}: {name}")
    for name, drift in DRIFTS.items()
    for dialect in drift.statements
]


@pytest.fixture
def field_lineage(
    request: pytest.FixtureRequest, make_library: object, tmp_path: object
) -> Iterator[Lineage]:
    """A scanned library on the dialect of the case, with an instance that knows its shards."""
    dialect = request.getfixturevalue("dialect")
    url = (
        "sqlite:///{home}/catalog.db"
        if dialect == "sqlite"
        else request.getfixturevalue("postgresql_database").render_as_string(hide_password=False)
    )
    library: Library = make_library(url)  # type: ignore[operator]
    library.scan()
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(SHARDS.name), ["photos-00000"])
        yield Lineage(library, build_definitions(library.settings), instance)


def written(engine: Engine) -> tuple[int, int]:
    """The numbers of images read and of jobs. A missing table counts as empty."""
    with engine.connect() as connection:
        read = connection.execute(
            select(func.count()).select_from(Image.__table__).where(Image.content_hash.is_not(None))
        ).scalar_one()
        present = engine.dialect.has_table(connection, "ml_job")
        jobs = connection.execute(select(func.count(MlJob.id))).scalar_one() if present else 0
    return read, jobs


@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_a_drift_is_found_before_a_row_is_written_and_its_fix_works(
    field_lineage: Lineage, name: str, dialect: str
) -> None:
    engine = field_lineage.library.engine
    drift = DRIFTS[name]
    field_lineage.execute(*drift.statements[dialect])
    before = written(engine)

    refused = field_lineage.materialize("registered_images", "photos-00000")

    assert not refused.success
    check = field_lineage.checks_of(refused)["catalog_contract"]
    assert not check.passed
    rows = differences(check)
    assert any(
        row["what"].endswith(f": {drift.shown[0]}") and drift.shown[1] in row["where"] for row in rows
    ), rows
    assert "Nothing was written." in failure_of(refused)
    assert written(engine) == before
    assert field_lineage.files() == {}

    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        assert apply_fixes(Base.metadata, connection) == []
    assert field_lineage.materialize("registered_images", "photos-00000").success
    with engine.connect() as connection:
        states = connection.execute(select(Image.state, func.count()).group_by(Image.state)).all()
    assert (ImageState.REGISTERED, 10) in [tuple(row) for row in states]
