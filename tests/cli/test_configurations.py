"""Which library a command works on, as a person without any configuration meets it."""

import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from photolineage.cli.app import app
from photolineage.demo.configuration import demo_settings
from photolineage.settings import BUILT_IN, default_home, demo_config_file, find_config_file


@pytest.fixture(autouse=True)
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person without a configuration, in an empty folder."""
    for name in [name for name in os.environ if name.startswith(("PHOTOLINEAGE_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.mark.parametrize(
    "command", [["status"], ["search", "a beach"], ["events"], ["compare", "vit-b-32-256"]]
)
def test_a_look_without_a_library_says_how_to_begin_and_makes_nothing(command: list[str]) -> None:
    done = run(*command)
    assert done.exit_code == 1
    said = " ".join(done.stderr.split())
    assert "there is no library yet" in said
    assert "`photolineage demo`" in said
    assert not default_home().exists()


def test_init_writes_a_configuration_that_commands_in_its_folder_use() -> None:
    assert run("init").exit_code == 0
    written = Path.cwd() / "photolineage.toml"
    assert written.read_text() == BUILT_IN.read_text()
    assert find_config_file() == written
    assert run("status").stderr.startswith("Using ./photolineage.toml\n")
    again = run("init")
    assert again.exit_code == 1
    assert "already exists" in again.stderr


def test_init_among_photos_says_that_it_would_be_ignored(person: Path) -> None:
    (person / "work" / "IMG_0001.JPG").touch()
    done = run("init")
    assert done.exit_code == 1
    assert "IMG_0001.JPG" in " ".join(done.stderr.split())
    assert not (person / "work" / "photolineage.toml").exists()


def test_a_configuration_that_is_named_is_used_from_anywhere(person: Path) -> None:
    config = person / "mine.toml"
    config.write_text("home = 'kept'")
    done = run("--config", str(config), "status")
    os.environ.pop("PHOTOLINEAGE_CONFIG")  # the command leaves it for the processes that it starts
    assert f"{person}/kept/catalog.db does not exist" in done.stderr.replace("\n", "")


def test_the_demo_has_a_home_of_its_own_whatever_the_environment_says(
    person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOLINEAGE_HOME", str(person / "own"))
    monkeypatch.setenv("PHOTOLINEAGE_CATALOG__URL", "sqlite:////own/catalog.db")
    monkeypatch.setenv("PHOTOLINEAGE_SOURCES__OWN__ROOT", str(person))
    settings = demo_settings()
    demo = person / "data" / "photolineage" / "demo"
    assert (settings.config_file, settings.home) == (demo / "photolineage.toml", demo / "home")
    assert settings.catalog.url == f"sqlite:///{demo}/home/catalog.db"
    assert list(settings.sources) == ["demo"]
    assert sorted(tomllib.loads(demo_config_file().read_text())["models"]) == ["demo-clip-v1", "demo-clip-v2"]


def test_a_database_that_is_not_supported_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOLINEAGE_CATALOG__URL", "mysql://me:secret@host/photos")
    done = run("status")
    assert done.exit_code == 1
    assert "mysql is not supported" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_the_ui_lets_other_machines_in_only_when_asked_to(host: str) -> None:
    done = run("ui", "--host", host)
    assert done.exit_code == 1
    assert "--allow-remote" in done.stderr
