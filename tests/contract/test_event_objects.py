"""DDL events of the model run in the shadow, and never change the live schema."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.schema import CreateView

from photolineage.contract import DriftKind, compare

_K = DriftKind


@pytest.fixture
def postgresql(postgresql_database: URL) -> Iterator[Engine]:
    engine = create_engine(postgresql_database)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(request.param)


def _found(metadata: sa.MetaData, engine: Engine) -> list[tuple[DriftKind, str, str]]:
    return [(d.kind, d.table, d.name) for d in compare(metadata, engine)]


def _with_view() -> sa.MetaData:
    metadata = sa.MetaData()
    image = sa.Table(
        "image", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("path", sa.Text)
    )
    CreateView(sa.select(image.c.id).where(image.c.path != ""), "seen", metadata=metadata)
    return metadata


def test_a_view_that_sqlalchemy_creates(engine: Engine) -> None:
    _with_view().create_all(engine)
    assert compare(_with_view(), engine) == []
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW seen")
    assert _found(_with_view(), engine) == [(_K.MISSING_TABLE, "seen", "seen")]
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW seen AS SELECT id FROM image")
    assert _found(_with_view(), engine) == [(_K.VIEW_CHANGED, "seen", "seen")]


def test_an_event_in_python_may_use_its_connection_as_it_likes(engine: Engine) -> None:
    metadata = sa.MetaData()
    image = sa.Table(
        "image", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("path", sa.Text)
    )

    @event.listens_for(image, "after_create")
    def _fill(_: object, connection: Connection, **__: Any) -> None:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
        with connection.begin_nested():
            connection.execute(sa.insert(image).values(path="a"))
        connection.exec_driver_sql("CREATE INDEX ix_by_event ON image (path)")

    metadata.create_all(engine)
    assert compare(metadata, engine) == []
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_by_event")
    assert _found(metadata, engine) == [(_K.INDEX_MISSING, "image", "ix_by_event")]
    image.append_constraint(sa.CheckConstraint("nowhere > 0", name="ck"))
    assert _found(metadata, engine) == [
        (_K.DEFINITION_REFUSED, "image", "ck"),
        (_K.INDEX_MISSING, "image", "ix_by_event"),
    ]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one() == 1


def test_an_event_that_names_public_changes_nothing_there(postgresql: Engine) -> None:
    metadata = sa.MetaData()
    sa.Table("image", metadata, sa.Column("id", sa.Integer, primary_key=True))
    for statement in (
        "DROP TABLE IF EXISTS public.legacy",
        'CREATE TABLE "public".legacy (id int)',
        "CREATE INDEX ix_legacy ON public.legacy (id)",
    ):
        event.listen(metadata, "before_create", sa.DDL(statement))  # type: ignore[no-untyped-call]
    metadata.create_all(postgresql)
    with postgresql.begin() as connection:
        connection.exec_driver_sql("INSERT INTO legacy VALUES (1)")
    assert compare(metadata, postgresql) == []
    with postgresql.connect() as migration:  # DDL on the live tables would end in the timeout
        migration.exec_driver_sql("LOCK TABLE legacy, image IN SHARE ROW EXCLUSIVE MODE")
        with postgresql.connect() as connection:
            connection.exec_driver_sql("SET lock_timeout = 300")
            assert compare(metadata, connection) == []
    with postgresql.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_legacy")
    assert _found(metadata, postgresql) == [(_K.INDEX_MISSING, "legacy", "ix_legacy")]


def test_a_default_that_names_public_is_one_of_the_model(postgresql: Engine) -> None:
    metadata = sa.MetaData()
    number = sa.Sequence("number", schema="public", metadata=metadata)
    state = sa.Enum("new", "done", name="state", schema="public")
    sa.Table(
        "image",
        metadata,
        sa.Column(
            "id", sa.Integer, number, server_default=sa.text("nextval('public.number')"), primary_key=True
        ),
        sa.Column("state", state, server_default=sa.text("'new'::public.state")),
    )
    metadata.create_all(postgresql)
    assert compare(metadata, postgresql) == []
    with postgresql.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE image ALTER COLUMN state SET DEFAULT 'done'")
    assert _found(metadata, postgresql) == [(_K.DEFAULT, "image", "state")]


def test_a_function_of_the_database_that_a_definition_names_is_the_live_one(postgresql: Engine) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text, sa.CheckConstraint("public.is_path(path)", name="ck_path")),
    )
    with postgresql.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION public.is_path(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"
        )
        metadata.create_all(connection)
    assert compare(metadata, postgresql) == []


@pytest.mark.parametrize("path", ["app, public", "public, app"])
@pytest.mark.parametrize("schema", [None, "", "app"])
def test_the_schema_of_the_search_path(path: str, schema: str | None, postgresql: Engine) -> None:
    """The tables are in `app`, whether the code says so or leaves it to the search_path of the database."""
    with postgresql.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE SCHEMA app; ALTER DATABASE {postgresql.url.database} SET search_path TO {path}"
        )
        connection.exec_driver_sql(
            "CREATE TABLE app.image (id serial PRIMARY KEY); CREATE TABLE public.other (id int)"
        )
    postgresql.dispose()
    metadata = sa.MetaData(schema=schema)
    sa.Table("image", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table("shelf", metadata, sa.Column("id", sa.Integer, primary_key=True), schema="attic")
    with postgresql.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA attic; CREATE TABLE attic.shelf (id serial PRIMARY KEY)")
    assert _found(metadata, postgresql) == []
    with postgresql.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE app.image ADD COLUMN x int; DROP TABLE attic.shelf")
    name = "app.image" if schema == "app" else "image"
    assert _found(metadata, postgresql) == [
        (_K.MISSING_TABLE, "attic.shelf", "shelf"),
        (_K.EXTRA_COLUMN, name, "x"),
    ]
