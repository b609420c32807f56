"""What `photolineage run --photos` adds is kept, whatever happens meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from photolineage.settings import ConfigurationError, Settings, load_settings
from photolineage.steps.add_source import add_source
from workloads import REPOSITORY_ROOT


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With one source, `configured`, whose folder is there."""
    for name in [name for name in os.environ if name.startswith("PHOTOLINEAGE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "configured").mkdir()
    config = tmp_path / "photolineage.toml"
    config.write_text("home = 'data'\n[sources.configured]\nroot = 'configured'", encoding="utf-8")
    return load_settings(config)


def test_added_sources_are_kept_beside_the_configured_ones(settings: Settings, tmp_path: Path) -> None:
    weird = tmp_path / 'Été 2024 "at\\ sea"\n🏖'
    again = tmp_path / "below" / 'Été 2024 "at\\ sea"\n🏖'
    for folder in (weird, again):
        folder.mkdir(parents=True)
    assert add_source(settings, tmp_path / "configured") == "configured"
    assert not settings.added_sources_file.exists()
    first = add_source(settings, weird)
    assert first == "t-2024-at-sea"
    settings = load_settings(settings.config_file)
    assert add_source(settings, weird) == first
    second = add_source(settings, again)
    assert second == f"{first}-2"
    settings = load_settings(settings.config_file)
    assert {key: source.root for key, source in settings.sources.items()} == {
        "configured": tmp_path / "configured",
        first: weird,
        second: again,
    }


def test_a_source_that_is_no_directory_is_not_added(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--photos .*/gone: no such directory"):
        add_source(settings, tmp_path / "gone")


def test_a_folder_whose_name_a_configuration_cannot_hold_is_not_added(
    settings: Settings, tmp_path: Path
) -> None:
    latin_1 = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9"))
    latin_1.mkdir()
    with pytest.raises(
        ConfigurationError, match=r"--photos .*/\\udce9t\\udce9: the folder name is not valid UTF-8.*Rename"
    ):
        add_source(settings, latin_1)
    assert not settings.added_sources_file.exists()


def test_processes_that_add_at_once_lose_nothing(settings: Settings, tmp_path: Path) -> None:
    folders = [tmp_path / parent / "photos" for parent in "abcd"]
    for folder in folders:
        folder.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from photolineage.steps.add_source import add_source; "
        "from photolineage.settings import load_settings; settings = load_settings(Path(sys.argv[1])); "
        "print(flush=True); input(); add_source(settings, Path(sys.argv[2]))"
    )
    adding = [
        subprocess.Popen(
            [sys.executable, "-c", code, settings.config_file, folder],
            cwd=REPOSITORY_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for folder in folders
    ]  # fmt: skip
    for process in adding:
        assert process.stdout is not None
        process.stdout.readline()
    for process in adding:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.wait(60) for process in adding] == [0] * 4
    sources = load_settings(settings.config_file).sources
    assert sorted(source.root for source in sources.values()) == sorted(
        [*folders, settings.sources["configured"].root]
    )


def test_a_broken_file_of_added_sources_is_named(settings: Settings) -> None:
    settings.home.mkdir()
    settings.added_sources_file.write_text("[sources.half", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"/data/sources\.toml is not valid TOML"):
        load_settings(settings.config_file)
