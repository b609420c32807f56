"""Loading a wrong value raises an error that names the setting, the value, the reason and the valid choices."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from photolineage.catalog.engine import create_catalog_engine
from photolineage.plain_text import toml_string
from photolineage.settings import (
    CONFIG_VARIABLE,
    ConfigurationError,
    Settings,
    load_settings,
)

Load = Callable[[str], Settings]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PHOTOLINEAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(toml: str) -> Settings:
        config = tmp_path / "photolineage.toml"
        config.write_text(toml, encoding="utf-8")
        return load_settings(config)

    return load


def problem(load: Load, toml: str) -> str:
    """The only problem in the error, after the name of the file."""
    with pytest.raises(ConfigurationError) as error:
        load(toml)
    first, *problems = str(error.value).splitlines()
    assert first.endswith("photolineage.toml:")
    assert len(problems) == 1, problems
    return problems[0].strip()


def test_an_empty_file_gives_the_defaults(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = load("")
    home = tmp_path / "data" / "photolineage" / "library"
    assert settings.home == home
    assert settings.catalog.url == f"sqlite:///{home}/catalog.db"
    assert settings.dagster_home == home / "dagster"
    assert (settings.shard_capacity, settings.checkpoint_images) == (5_000, 500)
    assert (settings.sources, settings.models) == ({}, {})


def test_relative_paths_are_relative_to_the_file(
    load: Load, tmp_path: Path, tiny_models: Mapping[str, Path]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "models").symlink_to(tiny_models["tiny-a"].parent)
    settings = load(
        "home = 'kept'\n[sources.a]\nroot = 'photos'\n[sources.b]\nroot = '{home}/drawn'\nremovable = true\n"
        "[models.m]\narchitecture = 'local-dir:models/tiny-a'"
    )
    assert settings.sources["a"].root == tmp_path / "photos"
    assert settings.sources["b"].root == tmp_path / "kept" / "drawn"
    assert settings.models["m"].architecture == f"local-dir:{tiny_models['tiny-a']}"


@pytest.mark.parametrize(
    ("home", "url", "file"),
    [
        ("home", "sqlite:///{home}/catalog.db", "home/catalog.db"),
        ("home", "sqlite:///rel.db", "rel.db"),
        ("home", "sqlite:///what%3Fmode=memory%2541#x/a b.db", "what?mode=memory%41#x/a b.db"),
        ("a#b é'@:%&;= %", "sqlite:///{home}/catalog.db", "a#b é'@:%&;= %/catalog.db"),
    ],
)
def test_the_file_of_the_catalog_is_the_one_that_is_named(
    load: Load, tmp_path: Path, home: str, url: str, file: str
) -> None:
    """Characters that mean something in a URL mean nothing in the name of the home directory."""
    settings = load(f"home = {toml_string(home)}\ncatalog.url = {toml_string(url)}")
    assert create_catalog_engine(settings.catalog.url).url.database == str(tmp_path / file)


def test_the_environment_overrides_the_file(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOLINEAGE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PHOTOLINEAGE_SHARD_CAPACITY", "7")
    monkeypatch.setenv("PHOTOLINEAGE_CATALOG__URL", "postgresql://me@host/photos")
    monkeypatch.setenv("PHOTOLINEAGE_SOURCES__CAMERA__ROOT", str(tmp_path))
    settings = load("home = 'kept'\nshard_capacity = 3\ncheckpoint_images = 2")
    assert settings.home == tmp_path / "elsewhere"
    assert (settings.shard_capacity, settings.checkpoint_images) == (7, 2)
    assert settings.catalog.url == "postgresql://me@host/photos"
    assert settings.sources["camera"].root == tmp_path


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("shard_capacity = 0", r"shard_capacity = 0: Input should be greater than or equal to 1"),
        ("checkpoint_images = 9999", r"checkpoint_images = 9999: .* less than or equal to 5000"),
        ("recall_bar = 1.5", r"recall_bar = 1\.5: .* less than or equal to 1"),
        ("lease_timeout_seconds = 'long'", r"lease_timeout_seconds = 'long': .* valid integer.*"),
        ("shard_capasity = 5", r"shard_capasity: no such setting"),
        ("[sources.a]\nroot = '.'\nremoveable = true", r"sources\.a\.removeable: no such setting"),
        ("[sources.a]\nremovable = true", r"sources\.a\.root: Field required"),
        (
            "[sources.a]\nroot = 'nowhere'",
            (
                r"sources\.a\.root = '.*/nowhere' is not a directory\. Correct the path, or set "
                r"sources\.a\.removable = true.*"
            ),
        ),
        (
            "[sources.a]\nroot = '.'\ntime_zone = 'Europe/Berlinn'",
            r"sources\.a\.time_zone = 'Europe/Berlinn': not an IANA time zone \(closest: Europe/Berlin.*",
        ),
        (
            "[sources.a]\nroot = '.'\nexclude = ['@eaDir/', '!']",
            r"sources\.a\.exclude\.1 = '!': not a \.gitignore pattern: .*",
        ),
        (
            "[sources.a]\nroot = '.'\nexclude = ['# x']",
            r"sources\.a\.exclude\.0 = '# x': this pattern excludes nothing\. .*",
        ),
        ("catalog.url = 'no url'", r"catalog\.url: not a valid URL of a database\. .*"),
        (
            "catalog.url = 'sqlite://'",
            r"catalog\.url = 'sqlite:///': it names no file, .* Write sqlite:///<file>.*",
        ),
        ("catalog.url = 'sqlite:///:memory:'", r"catalog\.url = 'sqlite:///:memory:': it names no file, .*"),
        (
            "catalog.url = 'sqlite:///file:x?mode=memory&uri=true'",
            r"catalog\.url = 'sqlite:///file:x': SQLite's file: addresses are not supported\. .*",
        ),
        (
            "home = 'what?mode=memory'",
            r"home = '/.*/what\?mode=memory': Dagster cannot keep its databases in a folder .* another name",
        ),
        ("home = '100%41'", r"home = '/.*/100%41': Dagster cannot keep .*"),
        (
            "[models.m]\narchitecture = 'ViT-B32'\npretrained = 'openai'",
            r"models\.m: architecture = 'ViT-B32' is not an architecture of open_clip; closest: .*\bViT-B-32\b.*",
        ),
        (
            "[models.m]\narchitecture = 'ViT-B-32'\npretrained = 'laion2b_s34b_b79'",
            (
                r"models\.m: pretrained = 'laion2b_s34b_b79' is not a tag of architecture 'ViT-B-32'; "
                r"closest: laion2b_s34b_b79k.*"
            ),
        ),
        (
            "[models.m]\narchitecture = 'ViT-B-32'",
            r"models\.m: pretrained = None is not a tag of architecture 'ViT-B-32'; valid: .*\bopenai\b.*",
        ),
        (
            "[models.m]\narchitecture = 'local-dir:gone'",
            r"models\.m\.architecture = 'local-dir:/.*/gone': /.*/gone/open_clip_config\.json is missing\..*",
        ),
        (
            "[models.m]\narchitecture = 'hf-hub:owner/model'\npretrained = 'openai'",
            r"models\.m: pretrained = 'openai': local-dir: and hf-hub: name the weights.*",
        ),
    ],
)
def test_the_error_names_the_wrong_value_and_the_reason(load: Load, toml: str, expected: str) -> None:
    assert re.fullmatch(expected, problem(load, toml))


@pytest.mark.parametrize("key", ["Camera", "a,b", "a|b", "été", "a b", "-a", ".", "a" * 49, ""])
@pytest.mark.parametrize("section", ["sources", "models"])
def test_a_key_with_other_characters_is_an_error(load: Load, section: str, key: str) -> None:
    entry = {"sources": "root = '.'", "models": "architecture = 'hf-hub:owner/model'"}[section]
    message = problem(load, f'[{section}."{key}"]\n{entry}')
    assert repr(key) in message
    assert message.endswith(
        "1 to 48 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"
    )


@pytest.mark.parametrize("key", ["a", "0", "demo-clip-v1", "vit_b.32", "a" * 48])
def test_a_key_of_allowed_characters_is_accepted(load: Load, key: str) -> None:
    assert list(load(f'[sources."{key}"]\nroot = "."').sources) == [key]


def test_all_wrong_values_are_listed_at_once(load: Load) -> None:
    with pytest.raises(ConfigurationError) as error:
        load("shard_capacity = 0\ncheckpoint_images = 0\n[sources.A]\nroot = '.'")
    assert len(str(error.value).splitlines()) == 4


def test_an_invalid_or_missing_file_is_named(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"photolineage\.toml is not valid TOML: .*line 1"):
        load("home = = 3")
    with pytest.raises(ConfigurationError, match=rf"gone\.toml: no such file.*{CONFIG_VARIABLE}"):
        load_settings(tmp_path / "gone.toml")


def test_a_removable_source_may_be_missing(load: Load) -> None:
    assert load("[sources.usb]\nroot = '/nowhere/usb'\nremovable = true").sources["usb"].root == Path(
        "/nowhere/usb"
    )


def test_what_a_source_leaves_out_is_a_setting(load: Load) -> None:
    source = load("[sources.a]\nroot = '.'\nexclude = ['@eaDir/', '*.tmp.jpg']\nhidden = true").sources["a"]
    assert (source.exclude, source.hidden) == (["@eaDir/", "*.tmp.jpg"], True)
    plain = load("[sources.a]\nroot = '.'").sources["a"]
    assert (plain.exclude, plain.hidden) == ([], False)


def test_the_time_zone_of_an_unknown_source_is_an_error(load: Load) -> None:
    settings = load("[sources.a]\nroot = '.'\ntime_zone = 'Asia/Tokyo'")
    assert settings.time_zone_of("a") == "Asia/Tokyo"
    with pytest.raises(ConfigurationError, match=r"source 'b' is in the catalog .* \[sources\.b\].*Valid: a"):
        settings.time_zone_of("b")
