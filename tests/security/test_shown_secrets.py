"""No message, traceback or representation shows a password or a token, whatever is wrong with the configuration."""

import gzip
import os
import sqlite3
import traceback
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from sqlalchemy import URL, text

from photolineage.catalog.engine import CatalogUnreachableError, create_catalog_engine, require_reachable
from photolineage.settings import ConfigurationError, Settings, load_settings
from tests.security.at_rest import places_of
from tests.security.conftest import PASSWORD

SECRET = "planted"
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a configuration from its text, with environment variables."""

    def load(toml: str = "", **variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        config = tmp_path / "photolineage.toml"
        config.write_text(f"home = 'home'\n{toml}")
        return load_settings(config)

    return load


MALFORMED = [
    "planted",
    "://u:planted@h/photos",
    "postgresql://u:se@cret:planted@h/photos",
    "postgresql://u:se@planted/x@h/photos",
    "postgresql://u:a/planted@h/photos",
    "postgresql://u/a:planted@h/photos",
    "postgresql://u:a?planted@h/photos",
    "postgresql://u:planted/photos",
    "postgresql://h/photos?password=a@planted",
    "postgresql://h?password=a@planted",
    "sqlite://u:planted@h/catalog.db",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_url_is_refused_and_not_shown(load: Load, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"catalog\.url: not a valid URL of a database") as refused:
        load(PHOTOLINEAGE_CATALOG__URL=url)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(CatalogUnreachableError, match=r"catalog\.url: not a valid URL") as unreachable:
        create_catalog_engine(url)
    assert SECRET not in "".join(traceback.format_exception(unreachable.value))


@pytest.mark.parametrize("url", ["mysql://u:planted@h/photos", "oracle://u:planted@h/x?password=planted"])
def test_another_database_is_refused_without_its_password(load: Load, url: str) -> None:
    with pytest.raises(CatalogUnreachableError, match="is not supported") as refused:
        load(PHOTOLINEAGE_CATALOG__URL=url).catalog.open_engine()
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("toml", "variables"),
    [
        ("", {"PHOTOLINEAGE_CATALOG": "postgresql://u:planted@h/photos"}),
        ("catalog = 'postgresql://u:planted@h/photos'", {}),
        ("catalog.url = ['postgresql://u:planted@h/photos']", {}),
        ("catalog.password = ['planted']", {}),
        ("catalog.pasword = 'planted'", {}),
        ("alerts = 'https://h/planted'", {}),
        ("alerts.webhook = 'ftp://h/planted'", {}),
        ("alerts.webhook = 'https://h:planted/x'", {}),
        ("alerts.webhook = 'https://[planted/x'", {}),
        ("alerts.webhook = 'https://'", {"PHOTOLINEAGE_ALERTS__COMMAND": "planted"}),
        ('alerts.webhook = "https://h/\\u0000planted"', {}),
        ("alerts.webhook = 'https://h/a planted'", {}),
        ("alerts.webhook = ['https://h/planted']", {}),
        ("alerts.command = 'planted'", {}),
        ("alerts.command = ['curl', {planted = 1}]", {}),
        ("alerts.ui = 'https://u:planted@h'", {}),
    ],
)
def test_a_wrong_setting_with_a_secret_is_named_and_not_shown(
    load: Load, toml: str, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=r"catalog|alerts") as refused:
        load(toml, **variables)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_settings_and_engine_have_no_secret_to_show(load: Load) -> None:
    settings = load(
        "alerts.webhook = 'https://h/planted/'\ncatalog.url = 'postgresql://u:planted@h/d?sslmode=require'"
    )
    engine = settings.catalog.open_engine()
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(engine)]
    shown.append(engine.url.render_as_string(hide_password=False))
    assert SECRET not in "".join(shown)
    assert settings.alerts.webhook is not None
    assert settings.alerts.webhook.get_secret_value() == "https://h/planted/"  # as it was given
    _, given = engine.dialect.create_connect_args(engine.url)
    assert (given["user"], given["sslmode"]) == ("u", "require")


@pytest.mark.parametrize("way", ["url", "query", "variable", "file", "PGPASSFILE", "PGPASSWORD"])
def test_each_way_to_give_the_password_opens_the_catalog(
    load: Load, tmp_path: Path, database_with_password: URL, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    without = database_with_password._replace(password=None)
    url = without
    if way == "url":
        url = database_with_password
    elif way == "query":
        url = without.update_query_dict({"password": PASSWORD})
    elif way == "variable":
        monkeypatch.setenv("PHOTOLINEAGE_CATALOG__PASSWORD", PASSWORD)
    elif way == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    elif way == "PGPASSFILE":
        passfile = tmp_path / "pgpass"
        passfile.write_text(f"*:*:*:keeper:{PASSWORD}\n")
        passfile.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(passfile))
    else:
        (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    toml = "catalog.password_file = 'secret'" if way == "file" else ""
    engine = load(
        toml, PHOTOLINEAGE_CATALOG__URL=url.render_as_string(hide_password=False)
    ).catalog.open_engine()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_user")).scalar_one() == "keeper"
    engine.dispose()


def test_a_missing_password_says_how_to_give_one(load: Load, database_with_password: URL) -> None:
    without = database_with_password._replace(password=None).render_as_string(hide_password=False)
    engine = load(PHOTOLINEAGE_CATALOG__URL=without).catalog.open_engine()
    with pytest.raises(CatalogUnreachableError, match=r"no password supplied.*PGPASSFILE"):
        require_reachable(engine)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"\n", "the file is empty"), (b"\xff", "not valid UTF-8")],
)
def test_a_password_file_that_is_no_good_is_named(
    load: Load, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    settings = load("catalog.url = 'postgresql://u@h/d'\ncatalog.password_file = 'secret'")
    with pytest.raises(
        CatalogUnreachableError, match=rf"catalog\.password_file = '{tmp_path}/secret': .*{reason}"
    ):
        settings.catalog.open_engine()


def test_two_passwords_are_refused(load: Load) -> None:
    with pytest.raises(
        ConfigurationError, match=r"in catalog\.url and catalog\.password_file are both given"
    ):
        load("catalog.url = 'postgresql://u:planted@h/d'\ncatalog.password_file = 'secret'")


def test_the_search_of_these_tests_finds_what_is_hidden(tmp_path: Path) -> None:
    word = b'{"url": "postgresql://u:planted@h"}'
    (tmp_path / "plain").write_bytes(os.urandom(1000) + word)
    (tmp_path / "gzip").write_bytes(gzip.compress(word))
    (tmp_path / "zlib").write_bytes(zlib.compress(word))
    (tmp_path / "zstd").write_bytes(pa.compress(word, codec="zstd", asbytes=True))
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("CREATE TABLE snapshots (body BLOB)")
        database.execute("INSERT INTO snapshots VALUES (?)", (zlib.compress(word),))
    table = pa.table({"text": [word.decode()]})
    pq.write_table(table, tmp_path / "table.parquet", compression="zstd")
    feather.write_feather(table, tmp_path / "table.arrow", compression="zstd")
    (tmp_path / "planted").touch()
    hidden = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "innocent").write_text("nothing")
    assert set(places_of([SECRET], tmp_path)) == hidden
