"""Migrations are the one way by which tables come to exist."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, insert, inspect, select, text

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.migrate import (
    MIGRATIONS,
    UnmigratedCatalogError,
    catalog_revision,
    head_revision,
    require_current,
    upgrade,
    upgrade_sql,
)
from photolineage.catalog.orm import Base, Image, MlJob, MlModel, Shard, Source
from photolineage.catalog.vocabulary import ImageState, JobState, Precision
from photolineage.lineage import JobKind
from tests.catalog.conftest import NOW

ROOT = Path(__file__).parents[2]
PRECISION_REVISION = "0003"


def table_names(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_an_empty_database_gets_every_table(empty_engine: Engine) -> None:
    before = upgrade(empty_engine)
    assert (before.found, before.wanted, before.has_tables) == (None, head_revision(), False)
    assert [step.id for step in before.pending][-1] == head_revision()
    assert table_names(empty_engine) == {*Base.metadata.tables, "alembic_version"}
    with empty_engine.connect() as connection:
        after = catalog_revision(connection)
    assert after.is_current
    assert after.pending == ()
    require_current(empty_engine)


def test_migrating_again_changes_nothing(catalog_engine: Engine) -> None:
    assert upgrade(catalog_engine).is_current


def test_a_new_database_is_refused_with_the_first_step(empty_engine: Engine) -> None:
    with pytest.raises(
        UnmigratedCatalogError,
        match=r"has no tables yet\. Materialize catalog_schema, or run `photolineage migrate`",
    ):
        require_current(empty_engine)
    assert table_names(empty_engine) == set()


def test_tables_that_no_migration_made_are_refused_and_left_alone(empty_engine: Engine) -> None:
    with write_transaction(empty_engine) as connection:
        connection.execute(text("CREATE TABLE holiday (id integer)"))
    with pytest.raises(
        UnmigratedCatalogError, match="has tables, but no revision in the table alembic_version"
    ):
        upgrade(empty_engine)
    assert table_names(empty_engine) == {"holiday"}


def test_a_revision_of_a_newer_version_is_refused_and_left_alone(catalog_engine: Engine) -> None:
    with write_transaction(catalog_engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (upgrade, require_current):
        with pytest.raises(
            UnmigratedCatalogError, match=r"revision 9999, but this version .* a newer version"
        ):
            act(catalog_engine)
    with catalog_engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_a_migration_that_fails_leaves_nothing(empty_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    create_table = op.create_table
    made: list[str] = []

    def fail_at_the_fifth(name: str, *arguments: Any, **options: Any) -> object:
        if len(made) == 4:
            raise RuntimeError("the power went")
        made.append(name)
        return create_table(name, *arguments, **options)

    monkeypatch.setattr(op, "create_table", fail_at_the_fifth)
    with pytest.raises(RuntimeError, match="the power went"):
        upgrade(empty_engine)
    assert len(made) == 4
    assert table_names(empty_engine) == set()


def test_processes_that_migrate_at_once_agree(empty_engine: Engine) -> None:
    code = (
        "import sys; from photolineage.catalog.engine import create_catalog_engine; "
        "from photolineage.catalog.migrate import upgrade; "
        "print(upgrade(create_catalog_engine(sys.argv[1])).found)"
    )
    url = empty_engine.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in outputs] == [""] * 3
    assert sorted(found.strip() for found, _ in outputs) == [head_revision(), head_revision(), "None"]


def test_the_sql_of_a_migration_makes_the_same_tables(empty_engine: Engine) -> None:
    script = upgrade_sql(empty_engine, None)
    with write_transaction(empty_engine) as connection:
        for statement in script.split(";\n"):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            sql = "\n".join(lines).strip().rstrip(";")
            if sql and sql not in {"BEGIN", "COMMIT"}:
                connection.exec_driver_sql(sql)
    require_current(empty_engine)
    assert table_names(empty_engine) == {*Base.metadata.tables, "alembic_version"}


def upgrade_to(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with write_transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_what_was_embedded_before_it_was_counted_is_counted(empty_engine: Engine) -> None:
    """By partition: up to date, changed since its success, changed back, interrupted, and never begun."""
    upgrade_to(empty_engine, "0001")
    shards = ("current", "changed", "again", "interrupted", "never")
    with write_transaction(empty_engine) as connection:
        connection.execute(insert(Source).values(key="photos", root="/photos", created_at=NOW))
        connection.execute(
            insert(MlModel),
            [
                {
                    "key": key, "architecture": "ViT", "embedding_dim": 8, "image_size": 64,
                    "weights_digest": "d", "first_loaded_at": NOW, "serving": False,
                }
                for key in ("a", "b")
            ],
        )  # fmt: skip
        for number, key in enumerate(shards, 1):
            connection.execute(
                insert(Shard).values(
                    source_id=1, number=number, key=key, capacity=9, image_count=3, revision=2
                )
            )
            for path, image_state, copy_of in (
                ("first", ImageState.REGISTERED, None),
                ("copy", ImageState.REGISTERED, 1),
                ("gone", ImageState.MISSING, None),
            ):
                connection.execute(
                    insert(Image).values(
                        source_id=1, shard_id=number, path=f"{key}/{path}", size_bytes=1, mtime_ns=1,
                        state=image_state, discovered_at=NOW, content_hash=path, duplicate_of_id=copy_of,
                    )
                )  # fmt: skip
        for subject, state, version in (
            ("a|current", JobState.SUCCEEDED, "2"),
            ("b|current", JobState.SUCCEEDED, "2"),
            ("a|changed", JobState.SUCCEEDED, "1"),
            ("a|again", JobState.SUCCEEDED, "2"),
            ("a|again", JobState.SUCCEEDED, "1"),
            ("b|again", JobState.SUCCEEDED, "2"),
            ("b|again", JobState.FAILED, "1"),
            ("a|interrupted", JobState.INTERRUPTED, "2"),
        ):
            connection.execute(
                insert(MlJob).values(
                    kind=JobKind.EMBED, subject=subject, state=state, input_version=version, run_id="run",
                    host="host", pid=1, process_started_at=0.0, total=0, done=0, resumed=0, failed=0,
                    started_at=NOW, heartbeat_at=NOW,
                )
            )  # fmt: skip
    upgrade(empty_engine)
    with empty_engine.connect() as connection:
        models = {path: bits for path, bits in connection.execute(select(Image.path, Image.embedded_models))}  # noqa: C416
        bit_of = dict(connection.execute(select(MlModel.key, MlModel.embedded_bit)).tuples().all())
    assert {path: bits for path, bits in models.items() if bits} == {
        "current/first": 2**1 | 2**2,
        "again/first": 2**2,
    }
    assert len(models) == 15
    assert bit_of == {"a": 2**1, "b": 2**2}


def test_models_of_before_precision_was_recorded_are_of_float32(empty_engine: Engine) -> None:
    upgrade_to(empty_engine, f"{PRECISION_REVISION}-1")
    with write_transaction(empty_engine) as connection:
        connection.execute(
            text(
                "INSERT INTO ml_model (key, architecture, embedding_dim, image_size, weights_digest, first_loaded_at) "
                "VALUES ('old', 'ViT-B-32', 512, 224, 'abc', '2026-01-01 00:00:00')"
            )
        )
    upgrade(empty_engine)
    with empty_engine.connect() as connection:
        row = connection.execute(select(MlModel.__table__)).one()
    assert (row.key, row.weights_digest, row.precision) == ("old", "abc", Precision.FLOAT32)
