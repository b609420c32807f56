"""The checks of another Dagster project: one for each table, with both outcomes, over every kind of resource."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetKey,
    AssetSelection,
    ConfigurableResource,
    Definitions,
    ExecuteInProcessResult,
    asset,
    define_asset_job,
)
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    Table,
    Text,
    create_engine,
    text,
)

from photolineage.contract.dagster_checks import contract_checks

MISSING = "DROP TABLE book"
ONLY_A_WARNING = "ALTER TABLE author ADD COLUMN born INTEGER"


def shop() -> MetaData:
    metadata = MetaData()
    Table("author", metadata, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
    Table(
        "book",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("author_id", ForeignKey("author.id")),
    )
    return metadata


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)
    shop().create_all(engine)
    yield engine
    engine.dispose()


def run_checks(resource: Any, metadata: MetaData | None = None, **options: Any) -> ExecuteInProcessResult:
    """Runs all checks of a project with one asset for the schema, and one for the table of books."""

    @asset
    def database_schema() -> None: ...

    @asset
    def books() -> None: ...

    checks = contract_checks(metadata or shop(), "database", assets={"book": "books"}, **options)
    job = define_asset_job("checks", selection=AssetSelection.all_asset_checks())
    definitions = Definitions(
        assets=[database_schema, books], asset_checks=[checks], resources={"database": resource}, jobs=[job]
    )
    return definitions.resolve_job_def("checks").execute_in_process(raise_on_error=False)


def evaluations(resource: Any, **options: Any) -> dict[str, AssetCheckEvaluation]:
    result = run_checks(resource, **options)
    assert result.success
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def outcomes(found: dict[str, AssetCheckEvaluation]) -> dict[str, bool]:
    return {name: evaluation.passed for name, evaluation in found.items()}


def test_a_database_like_the_code_passes(engine: Engine) -> None:
    found = evaluations(engine)
    assert outcomes(found) == {"table_author": True, "table_book": True, "other_objects": True}
    assert found["table_book"].asset_key == AssetKey("books")
    assert found["table_author"].asset_key == AssetKey("database_schema")
    assert found["table_author"].description == "The database matches the code."


def test_a_table_that_differs_fails_alone_and_shows_the_fix(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(MISSING))
    found = evaluations(engine)
    assert outcomes(found) == {"table_author": True, "table_book": False, "other_objects": True}
    failed = found["table_book"]
    assert failed.severity is AssetCheckSeverity.ERROR
    assert failed.description == "1 difference (1 error) between the code and the database."
    (row,) = failed.metadata["differences"].value.records  # type: ignore[union-attr]
    assert row.data["what"] == "error: missing table"
    assert str(row.data["fix"]).startswith("CREATE TABLE book")


def test_a_table_with_warnings_fails_as_a_warning(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(ONLY_A_WARNING))
    found = evaluations(engine)
    assert outcomes(found) == {"table_author": False, "table_book": True, "other_objects": True}
    assert found["table_author"].severity is AssetCheckSeverity.WARN


def test_what_belongs_to_no_table_has_a_check_of_its_own(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE attic (x)"))
    assert outcomes(evaluations(engine)) == {
        "table_author": True,
        "table_book": True,
        "other_objects": False,
    }
    assert all(outcomes(evaluations(engine, exclude="attic")).values())


def test_a_comparison_that_is_impossible_fails_the_run(tmp_path: Path) -> None:
    directory = create_engine(f"sqlite:///{tmp_path}/missing/folder.db")
    result = run_checks(directory)
    assert not result.success
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert "cannot be compared with the code: unable to open database file" in str(data.description)


class _WithEngine:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class _WithSession:
    """A resource whose `get_connection` is a context manager, as is usual in Dagster projects."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.open = 0

    @contextmanager
    def get_connection(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            self.open += 1
            yield connection
            self.open -= 1


class _Configured(ConfigurableResource):  # type: ignore[type-arg]
    url: str

    def get_engine(self) -> Engine:
        return create_engine(self.url)


@pytest.mark.parametrize(
    "resource_of",
    [
        _WithEngine,
        _WithSession,
        lambda engine: _Configured(url=str(engine.url)),
        lambda engine: engine.connect(),
    ],
    ids=["engine", "get_connection", "get_engine", "a connection itself"],
)
def test_any_resource_that_gives_a_database_works(
    engine: Engine, resource_of: Callable[[Engine], Any]
) -> None:
    with engine.begin() as connection:
        connection.execute(text(MISSING))
    resource = resource_of(engine)
    assert not evaluations(resource)["table_book"].passed
    if isinstance(resource, _WithSession):
        assert resource.open == 0
    if isinstance(resource, Connection):
        assert not resource.closed
        resource.close()


def test_a_resource_without_a_database_is_explained() -> None:
    result = run_checks("sqlite://")
    assert not result.success
    (failure,) = [event for event in result.all_node_events if event.is_step_failure]
    assert "The resource is a str." in str(failure.step_failure_data.user_failure_data)


def test_a_schema_is_part_of_the_name_of_a_check(postgresql_database: Any) -> None:
    metadata = MetaData()
    for schema in (None, "attic"):
        Table("book", metadata, Column("id", Integer, primary_key=True), schema=schema)
    engine = create_engine(postgresql_database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA attic"))
        metadata.create_all(connection)
        connection.execute(text("ALTER TABLE attic.book ADD COLUMN more TEXT"))
    assert outcomes(evaluations(engine, metadata=metadata)) == {
        "table_book": True,
        "table_attic_book": False,
        "other_objects": True,
    }
