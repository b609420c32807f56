"""The first of five configurations is used, and never one that came with photos."""

import os
from pathlib import Path

import pytest

from photolineage.settings import (
    BUILT_IN,
    CONFIG_VARIABLE,
    ConfigurationError,
    default_home,
    demo_config_file,
    find_config_file,
    load_settings,
    trust,
)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person without any configuration, in an empty working directory; their home directory."""
    for name in [name for name in os.environ if name.startswith("PHOTOLINEAGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_configuration_the_built_in_one_is_used(person: Path) -> None:
    assert find_config_file() == BUILT_IN
    settings = load_settings()
    assert settings.home == person / "data" / "photolineage" / "library"
    assert list(settings.models) == ["vit-b-32-256"]
    assert settings.sources == {}
    assert "photolineage init" in settings.config_name


def test_each_configuration_overrides_the_next(person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = write(demo_config_file())
    assert find_config_file() == demo
    of_user = write(person / "config" / "photolineage" / "photolineage.toml")
    assert find_config_file() == of_user
    here = write(person / "work" / "photolineage.toml")
    trust(here)
    assert find_config_file() == here
    monkeypatch.setenv(CONFIG_VARIABLE, str(person / "other.toml"))
    assert find_config_file() == person / "other.toml"


def test_the_demo_is_not_used_for_own_photos(person: Path) -> None:
    write(demo_config_file())
    assert find_config_file(or_demo=False) == BUILT_IN


def test_the_demo_is_not_used_once_there_is_a_library(person: Path) -> None:
    write(demo_config_file())
    default_home().mkdir(parents=True)
    assert find_config_file() == demo_config_file()  # a command that only looked has made the folder
    write(default_home() / "sources.toml")
    assert find_config_file() == BUILT_IN


@pytest.mark.parametrize("variable", ["PHOTOLINEAGE_HOME", "PHOTOLINEAGE_CATALOG__URL"])
def test_the_demo_is_not_used_where_the_environment_names_a_library(
    person: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    write(demo_config_file())
    monkeypatch.setenv(variable, "sqlite:////elsewhere/catalog.db")
    assert find_config_file() == BUILT_IN


@pytest.mark.parametrize(
    "photo", ["IMG_1.JPG", "2023/IMG_1.heic", "2023/raw.NEF", "DCIM/100CANON/IMG_0001.JPG"]
)
def test_a_configuration_among_photos_is_refused_unless_it_is_named(
    person: Path, monkeypatch: pytest.MonkeyPatch, photo: str
) -> None:
    here = write(person / "work" / "photolineage.toml", "[alerts]\ncommand = ['rm', '-rf', '/']")
    trust(here)
    write(person / "work" / photo)
    with pytest.raises(
        ConfigurationError, match=rf"in or above a folder of photos \({photo}\).*--config {here}"
    ):
        find_config_file()
    monkeypatch.setenv(CONFIG_VARIABLE, str(here))
    assert find_config_file() == here


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_configuration_of_another_user_is_refused(person: Path) -> None:
    here = write(person / "work" / "photolineage.toml")
    os.chown(here, 12345, 12345)
    with pytest.raises(ConfigurationError, match=r"belongs to another user.*--config"):
        find_config_file()


def test_a_configuration_above_too_many_files_is_refused(
    person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write(person / "work" / "photolineage.toml")
    monkeypatch.setattr("photolineage.settings.locate.MOST_ENTRIES", 3)
    for name in ("a.txt", "b.txt", "c.txt"):
        write(person / "work" / "notes" / name)
    with pytest.raises(ConfigurationError, match=rf"above more than 3 files.*--config {here}"):
        find_config_file()


def test_the_built_in_configuration_is_known_behind_a_link(
    person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(BUILT_IN))
    assert find_config_file() == BUILT_IN == BUILT_IN.resolve()


def test_a_picture_that_no_camera_makes_is_not_a_photo(person: Path) -> None:
    here = write(person / "work" / "photolineage.toml")
    write(person / "work" / "docs" / "logo.png")
    trust(here)
    assert find_config_file() == here
