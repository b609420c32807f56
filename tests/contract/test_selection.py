"""Which drifts a comparison reports: of some tables, of several metadata, without accepted ones."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine

from photolineage.contract import ContractError, DriftKind, Severity, compare, write_baseline


def _own() -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(
        "app_image",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.String(10)),
        sa.Column("state", sa.Enum("new", "done", name="image_state")),
    )
    sa.Table("app_tag", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.Text))
    return metadata


def _theirs() -> sa.MetaData:
    metadata = sa.MetaData()
    mood = sa.Enum("good", "bad", name="mood")
    sa.Table("runs", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", mood))
    sa.Sequence("run_number", metadata=metadata)
    return metadata


@pytest.fixture
def sqlite() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        _own().create_all(connection)
        _theirs().create_all(connection)
        yield connection
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql_engine(new_postgresql_database: Callable[[], URL]) -> Iterator[Engine]:
    engine = create_engine(new_postgresql_database())
    with engine.begin() as connection:
        _own().create_all(connection)
        _theirs().create_all(connection)
        connection.exec_driver_sql("CREATE TYPE leftover AS ENUM ('a')")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(postgresql_engine: Engine) -> Iterator[Connection]:
    with postgresql_engine.connect() as connection:
        yield connection


def test_tables_of_another_metadata_are_extra_until_they_are_excluded(sqlite: Connection) -> None:
    assert [(d.kind, d.name) for d in compare(_own(), sqlite)] == [(DriftKind.EXTRA_TABLE, "runs")]
    assert compare(_own(), sqlite, include="app_*") == []
    assert compare(_own(), sqlite, exclude=["runs"]) == []
    assert compare([_own(), _theirs()], sqlite) == []


def test_types_and_sequences_of_another_metadata_are_filtered_too(postgresql: Connection) -> None:
    found = [(d.kind, d.name) for d in compare(_own(), postgresql)]
    assert found == [
        (DriftKind.EXTRA_TABLE, "runs"),
        (DriftKind.ENUM_EXTRA, "leftover"),
        (DriftKind.SEQUENCE, "run_number"),
    ]
    assert compare(_own(), postgresql, include="app_*") == []
    assert compare(_own(), postgresql, exclude=("runs", "run_number", "leftover")) == []
    assert [d.name for d in compare([_own(), _theirs()], postgresql)] == ["leftover"]


def test_a_drift_of_an_included_table_is_found(postgresql: Connection) -> None:
    postgresql.exec_driver_sql("ALTER TABLE app_tag DROP COLUMN word")
    postgresql.exec_driver_sql("ALTER TYPE image_state RENAME VALUE 'done' TO 'gone'")
    found = [(d.kind, d.table, d.name) for d in compare(_own(), postgresql, include="app_*")]
    assert found == [
        (DriftKind.ENUM_VALUES, "app_image", "image_state"),
        (DriftKind.MISSING_COLUMN, "app_tag", "word"),
    ]
    assert [d.kind for d in compare(_own(), postgresql, include="app_image")] == [DriftKind.ENUM_VALUES]
    assert [d.kind for d in compare(_own(), postgresql, include="app_tag")] == [DriftKind.MISSING_COLUMN]
    assert [d.kind for d in compare([_own(), _theirs()], postgresql, exclude="*_tag")] == [
        DriftKind.ENUM_VALUES,
        DriftKind.ENUM_EXTRA,
    ]


def test_a_type_that_two_metadata_share_is_no_drift(postgresql: Connection) -> None:
    other = sa.MetaData()
    state = sa.Enum("new", "done", name="image_state")
    sa.Table("job", other, sa.Column("id", sa.Integer, primary_key=True), sa.Column("state", state))
    postgresql.exec_driver_sql("CREATE TABLE job (id serial PRIMARY KEY, state image_state)")
    assert compare([_own(), _theirs(), other], postgresql, exclude="leftover") == []
    postgresql.exec_driver_sql("ALTER TABLE job DROP COLUMN state")
    found = [(d.kind, d.table) for d in compare([_own(), _theirs(), other], postgresql, exclude="leftover")]
    assert found == [(DriftKind.MISSING_COLUMN, "job")]


def test_a_table_that_two_metadata_share_is_compared_once(sqlite: Connection) -> None:
    assert compare([_own(), _own(), _theirs()], sqlite) == []
    sqlite.exec_driver_sql("DROP TABLE app_tag")
    assert [d.name for d in compare([_own(), _own(), _theirs()], sqlite)] == ["app_tag"]


def test_a_table_of_a_schema_is_matched_with_and_without_it(postgresql: Connection) -> None:
    metadata = sa.MetaData()
    sa.Table("image", metadata, sa.Column("id", sa.Integer, primary_key=True), schema="attic")
    postgresql.exec_driver_sql("CREATE SCHEMA attic")
    assert [d.table for d in compare(metadata, postgresql, include="attic.*")] == ["attic.image"]
    assert [d.table for d in compare(metadata, postgresql, include="image")] == ["attic.image"]
    assert compare(metadata, postgresql, include="image", exclude="attic.*") == []


@pytest.mark.parametrize("name", ["migrate_version", "schema_migrations"])
def test_the_version_table_of_another_tool_is_no_drift(name: str, sqlite: Connection) -> None:
    sqlite.exec_driver_sql(f"CREATE TABLE {name} (repository TEXT, version INTEGER)")
    both = [_own(), _theirs()]
    assert [d.name for d in compare(both, sqlite)] == [name]
    assert compare(both, sqlite, version_tables=[name]) == []


def test_ignored_identities_are_left_out(sqlite: Connection) -> None:
    sqlite.exec_driver_sql("CREATE INDEX ix_by_hand ON app_tag (word)")
    sqlite.exec_driver_sql("ALTER TABLE app_image DROP COLUMN path")
    both = [_own(), _theirs()]
    assert [d.kind for d in compare(both, sqlite, ignore="index_extra *")] == [DriftKind.MISSING_COLUMN]
    assert [d.kind for d in compare(both, sqlite, ignore="* app_image.*")] == [DriftKind.INDEX_EXTRA]
    assert compare(both, sqlite, ignore=("index_extra app_tag.*", "missing_column *")) == []


def test_accepted_drifts_are_left_out_until_they_change(sqlite: Connection, tmp_path: Path) -> None:
    baseline = tmp_path / "accepted.json"
    sqlite.exec_driver_sql("ALTER TABLE app_tag ADD COLUMN legacy TEXT")
    both = [_own(), _theirs()]
    accepted = compare(both, sqlite)
    assert [d.identity for d in accepted] == ["extra_column app_tag.legacy: – → TEXT"]
    write_baseline(baseline, accepted)
    assert json.loads(baseline.read_text("utf-8")) == {"accepted": [accepted[0].identity]}
    for given in (baseline, str(baseline), accepted, [accepted[0].identity]):
        assert compare(both, sqlite, baseline=given) == []
    sqlite.exec_driver_sql("ALTER TABLE app_tag ADD COLUMN other TEXT")
    assert [d.name for d in compare(both, sqlite, baseline=baseline)] == ["other"]
    sqlite.exec_driver_sql("ALTER TABLE app_tag DROP COLUMN other")
    sqlite.exec_driver_sql("ALTER TABLE app_tag DROP COLUMN legacy")
    sqlite.exec_driver_sql("ALTER TABLE app_tag ADD COLUMN legacy INTEGER NOT NULL DEFAULT 0")
    assert [d.name for d in compare(both, sqlite, baseline=baseline)] == ["legacy"]


def test_two_unnamed_checks_of_a_column_have_different_identities(sqlite: Connection) -> None:
    sqlite.exec_driver_sql("DROP TABLE app_tag")
    sqlite.exec_driver_sql(
        "CREATE TABLE app_tag (id INTEGER NOT NULL PRIMARY KEY, word TEXT CHECK (word <> '') CHECK (word <> 'x'))"
    )
    drifts = compare([_own(), _theirs()], sqlite)
    assert [d.kind for d in drifts] == [DriftKind.CHECK_EXTRA] * 2
    assert compare([_own(), _theirs()], sqlite, baseline=drifts[:1]) == drifts[1:]


def test_an_identity_is_the_same_in_every_comparison(postgresql: Connection) -> None:
    postgresql.exec_driver_sql("ALTER TABLE app_tag ADD CONSTRAINT ck CHECK (word <> '')")
    postgresql.exec_driver_sql("CREATE TEMP TABLE app_image (id int)")
    first, second = ([d.identity for d in compare(_own(), postgresql)] for _ in range(2))
    assert first == second
    assert "shadowed app_image: public.app_image → pg_temp.app_image" in first


@pytest.mark.parametrize("text", [None, "no JSON", "[]", '{"drifts": []}', '{"accepted": 3}'])
def test_the_error_names_an_unreadable_baseline(text: str | None, tmp_path: Path, sqlite: Connection) -> None:
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(ContractError, match=r"baseline\.json"):
        compare(_own(), sqlite, baseline=path)


def test_sizes_that_sqlite_ignores_are_notes_for_who_asks(sqlite: Connection) -> None:
    sqlite.exec_driver_sql("DROP TABLE app_image")
    sqlite.exec_driver_sql(
        "CREATE TABLE app_image (id BIGINT NOT NULL PRIMARY KEY, path VARCHAR(20), state VARCHAR(4))"
    )
    both = [_own(), _theirs()]
    without = compare(both, sqlite)
    found = [d for d in compare(both, sqlite, notes=True) if d not in without]
    assert {(d.kind, d.name, d.expected, d.actual, d.severity) for d in found} == {
        (DriftKind.TYPE, "id", "INTEGER", "BIGINT", Severity.NOTE),
        (DriftKind.TYPE_ARGS, "path", "VARCHAR(10)", "VARCHAR(20)", Severity.NOTE),
    }


def test_postgresql_has_no_notes(postgresql: Connection) -> None:
    assert compare([_own(), _theirs()], postgresql, exclude="leftover", notes=True) == []
