"""Other users of the machine read nothing of a home, whatever the umask; an album follows the umask."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from photolineage.settings import load_settings
from photolineage.settings.private_home import OWN_NAMES, close_home
from tests.lineage import Lineage
from tests.security.at_rest import open_to_others
from workloads.dagster_ui import PHOTOLINEAGE

Command = Callable[..., subprocess.CompletedProcess[str]]
SAID = "was open to other users of this machine"


@pytest.fixture
def command() -> Command:
    """Runs `photolineage` as a process of its own, with a umask."""

    def run(lineage: Lineage, *arguments: str, umask: int = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PHOTOLINEAGE, "--config", lineage.config_file, *arguments],
            umask=umask,
            capture_output=True,
            text=True,
            check=True,
        )

    return run


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def widen(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_everything_that_a_run_writes_is_private(new_lineage: Lineage, command: Command) -> None:
    subprocess.run(["rm", "-r", new_lineage.home], check=True)
    command(new_lineage, "run")
    command(new_lineage, "search", "a beach", "--sheet", str(new_lineage.home / "search.jpg"))
    written = {path.name for path in new_lineage.home.rglob("*")}
    assert {"catalog.db", "previews", "tiny-a.lance", "runs.db", "search.jpg"} <= written
    assert open_to_others(new_lineage.home) == {}
    assert {path.name for path in new_lineage.home.iterdir()} <= OWN_NAMES


def test_an_open_home_is_closed_and_that_is_said_once(lineage: Lineage, command: Command) -> None:
    widen(lineage.home)
    assert SAID in " ".join(command(lineage, "status").stderr.split())
    assert mode_of(lineage.home) == 0o700
    assert all(not mode_of(path) & 0o077 for path in lineage.home.iterdir())
    assert SAID not in command(lineage, "status").stderr


def test_dagster_closes_a_home_too(lineage: Lineage) -> None:
    widen(lineage.home)
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import definitions, pathlib; pathlib.Path(definitions.settings.home, 'made').touch()",
        ],
        env=os.environ | {"PHOTOLINEAGE_CONFIG": str(lineage.config_file)},
        umask=0,
        check=True,
    )
    assert mode_of(lineage.home) == 0o700
    assert mode_of(lineage.home / "made") == 0o600


def test_an_album_and_other_folders_follow_the_umask(
    lineage: Lineage, command: Command, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    command(lineage, "report", str(album), umask=0o022)
    modes = {mode_of(path) for path in (album, *album.rglob("*")) if path.name != ".photolineage-album"}
    assert modes == {0o755, 0o644}


def test_what_belongs_to_somebody_else_is_not_touched(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    for name in ("index", "photos"):
        (home / name).mkdir(parents=True)
    widen(home)
    assert close_home(home) is not None
    assert (mode_of(home), mode_of(home / "photos"), mode_of(home / "index")) == (0o755, 0o755, 0o700)
    assert close_home(home) is None


def test_a_folder_on_another_disk_is_closed(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "disk"
    for folder in (home, elsewhere):
        folder.mkdir()
        folder.chmod(0o755)
    (home / "previews").symlink_to(elsewhere)
    (home / "index").symlink_to(tmp_path / "unplugged")
    assert close_home(home) is not None
    assert (mode_of(home), mode_of(elsewhere)) == (0o700, 0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give a folder to somebody else")
def test_a_home_of_another_user_is_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    os.chown(home, 12345, 12345)
    assert close_home(home) is None
    assert mode_of(home) == 0o755


def test_a_home_that_is_missing_is_not_made(tmp_path: Path) -> None:
    config = tmp_path / "photolineage.toml"
    config.write_text("home = 'home'")
    assert close_home(load_settings(config).home) is None
    assert not (tmp_path / "home").exists()
