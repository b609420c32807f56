"""Connections to PostgreSQL, against settings of a database and of a role, and databases that are not UTF-8."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import normalize

import pytest
from sqlalchemy import URL, NullPool, create_engine, select, text

from photolineage.catalog.engine import create_catalog_engine, database_time, require_reachable
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import Image
from photolineage.catalog.postgresql import SESSION_SETTINGS, CatalogEncodingError
from photolineage.checks.catalog_contract import contract_report
from tests.command_line import photolineage
from tests.library import Library, draw_photo
from tests.lineage import Lineage, failure_of, open_lineage

HOSTILE = {
    "bytea_output": "'escape'",
    "client_encoding": "'LATIN1'",
    "DateStyle": "'German, DMY'",
    "default_transaction_isolation": "'serializable'",
    "extra_float_digits": "-15",
    "IntervalStyle": "'sql_standard'",
    "quote_all_identifiers": "on",
    "search_path": "''",
    "standard_conforming_strings": "off",
    "TimeZone": "'Asia/Kathmandu'",
    "transform_null_equals": "on",
}


def execute(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture(params=["ROLE stubborn", "DATABASE {database}"])
def hostile_database(
    request: pytest.FixtureRequest, postgresql_server: URL, postgresql_database: URL
) -> Iterator[URL]:
    """An empty database for whose role, or for which, every setting is another one."""
    execute(postgresql_server, "CREATE ROLE stubborn SUPERUSER LOGIN")
    whose = str(request.param).format(database=postgresql_database.database)
    execute(postgresql_server, *(f"ALTER {whose} SET {name} TO {value}" for name, value in HOSTILE.items()))
    yield postgresql_database.set(username="stubborn")
    execute(
        postgresql_server,
        f"DROP DATABASE {postgresql_database.database} WITH (FORCE)",
        f"CREATE DATABASE {postgresql_database.database}",  # the fixture that made it drops it
        "DROP ROLE stubborn",
    )


def test_every_setting_is_the_same_whatever_the_role_and_the_database_say(hostile_database: URL) -> None:
    assert HOSTILE.keys() == SESSION_SETTINGS.keys()
    names = ", ".join(f"current_setting('{name}')" for name in HOSTILE)
    plain = create_engine(hostile_database.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    raw = plain.raw_connection()
    before = raw.cursor().execute(f"SELECT {names}").fetchone()
    raw.close()
    engine = create_catalog_engine(hostile_database.render_as_string(hide_password=False))
    for _ in range(2):  # the second time, the connection comes from the pool and was rolled back
        with engine.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT {names}").one()
    engine.dispose()
    assert [set(pair) for pair in zip(found, before, strict=True) if pair[0] == pair[1]] == []
    assert dict(zip(HOSTILE, found, strict=True)) == SESSION_SETTINGS


def test_a_library_is_built_and_scanned_again(
    hostile_database: URL, make_library: Callable[[str], Library]
) -> None:
    library: Library = make_library(hostile_database.render_as_string(hide_password=False))
    name = normalize("NFC", "2023/ößŁ\\'東京 🏖.jpg")
    draw_photo(library.root / name, 99, taken_at=datetime(2023, 12, 1, 23, 59, tzinfo=UTC))
    assert contract_report(library.engine).drifts == ()
    library.build("tiny-a")
    assert library.scan().unchanged == 29
    assert set(library.states().values()) == {"registered", "failed"}
    assert library.live().missing == 0
    with library.engine.connect() as connection:
        taken_at = connection.execute(select(Image.taken_at).where(Image.path == name)).scalar_one()
        now = database_time(connection)
    assert taken_at == datetime(2023, 12, 1, 23, 59, tzinfo=UTC)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_setting_that_the_url_names_is_kept(postgresql_database: URL) -> None:
    url = postgresql_database.update_query_dict({"options": "-csearch_path=photos"})
    engine = create_catalog_engine(url.render_as_string(hide_password=False))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA photos")
    upgrade(engine)
    with engine.connect() as connection:
        schemas = connection.execute(
            text("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('image', 'alembic_version')")
        ).scalars()
        assert list(schemas) == ["photos"]
        assert connection.exec_driver_sql("SHOW DateStyle").scalar_one() == "ISO, YMD"
    engine.dispose()


@pytest.fixture(params=["LATIN1", "SQL_ASCII", "EUC_JP"])
def database_without_utf8(
    request: pytest.FixtureRequest, postgresql_server: URL
) -> Iterator[tuple[URL, str]]:
    encoding = str(request.param)
    execute(
        postgresql_server,
        f"CREATE DATABASE in_bytes ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    yield postgresql_server.set(database="in_bytes"), encoding
    execute(postgresql_server, "DROP DATABASE in_bytes WITH (FORCE)")


def test_a_database_that_is_not_utf8_is_refused_at_the_first_connection(
    database_without_utf8: tuple[URL, str],
) -> None:
    url, encoding = database_without_utf8
    engine = create_catalog_engine(url.render_as_string(hide_password=False))
    with pytest.raises(CatalogEncodingError, match=f"database 'in_bytes' has the encoding {encoding},") as e:
        require_reachable(engine)
    assert "CREATE DATABASE photolineage ENCODING 'UTF8' TEMPLATE template0" in str(e.value)
    with pytest.raises(CatalogEncodingError):
        upgrade(engine)


def test_no_command_and_no_asset_computes_anything_for_it(
    database_without_utf8: tuple[URL, str], new_lineage: Lineage
) -> None:
    url, encoding = database_without_utf8
    config = new_lineage.config_file
    config.write_text(f'catalog.url = "{url.render_as_string(hide_password=False)}"\n' + config.read_text())
    for command in ("run", "check", "status", "migrate", "repair", "ui"):
        done = photolineage(new_lineage, command)
        assert done.returncode == 1
        assert f"has the encoding {encoding}" in done.stderr, command
    with open_lineage(config) as lineage:
        for asset, partition in (("catalog_schema", None), ("source_files", "photos")):
            result = lineage.materialize(asset, partition)
            assert f"has the encoding {encoding}" in failure_of(result)
    assert not [path for path in Path(new_lineage.home).iterdir() if path.name != "dagster"]
