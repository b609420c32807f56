"""Migrations are the one way by which tables come to exist."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, select, text

from catalog.engine import write_transaction
from catalog.migrate import (
    MIGRATIONS,
    UnmigratedCatalogError,
    catalog_revision,
    head_revision,
    require_current,
    upgrade,
    upgrade_sql,
)
from catalog.model_facts import Precision
from catalog.models import Base, MlModel

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


def test_an_unmigrated_database_is_refused_with_the_steps_to_come(empty_engine: Engine) -> None:
    with pytest.raises(
        UnmigratedCatalogError, match=rf"is at revision none.* needs {head_revision()}.*photolineage migrate"
    ):
        require_current(empty_engine)
    assert table_names(empty_engine) == set()


def test_tables_that_no_migration_made_are_refused_and_left_alone(empty_engine: Engine) -> None:
    with write_transaction(empty_engine) as connection:
        connection.execute(text("CREATE TABLE holiday (id integer)"))
    with pytest.raises(UnmigratedCatalogError, match="has tables but no alembic_version"):
        upgrade(empty_engine)
    assert table_names(empty_engine) == {"holiday"}


def test_a_revision_of_a_newer_version_is_refused_and_left_alone(catalog_engine: Engine) -> None:
    with write_transaction(catalog_engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (upgrade, require_current):
        with pytest.raises(UnmigratedCatalogError, match=r"revision 9999, which this version .* newer one"):
            act(catalog_engine)
    with catalog_engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_a_migration_that_fails_leaves_nothing(empty_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    create_table, made = op.create_table, []

    def fail_at_the_fifth(name: str, *arguments: object, **options: object) -> object:
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
        "import sys; from catalog.engine import create_catalog_engine; from catalog.migrate import upgrade; "
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


def test_models_of_before_precision_was_recorded_are_of_float32(empty_engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with write_transaction(empty_engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, f"{PRECISION_REVISION}-1")
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
    assert (row.agreement_cosine, row.agreement_neighbors) == (None, None)
