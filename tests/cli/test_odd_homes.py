"""A home whose name has characters that mean something in a URL, a pattern or a shell."""

import shutil
import sqlite3
from pathlib import Path

from tests.command_line import photolineage
from tests.lineage import CONFIGURATION, open_lineage

NAME = ' it\'s "so" #1: été 🏖 100% {home} [x] $HOME ${x} * file:a@b;c=d&e'


def test_everything_works_in_a_home_with_an_odd_name(new_library_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / NAME
    shutil.copytree(new_library_folder / "photos", folder / "photos")
    shutil.copy(new_library_folder / CONFIGURATION, folder)
    with open_lineage(folder / CONFIGURATION) as lineage:
        assert lineage.home == folder / "home"
        for command in (
            ["run", "--model", "tiny-a"],
            ["run", "--model", "tiny-a"],
            ["status"],
            ["search", "--image-id", "1"],
            ["report", str(folder / "album")],
            ["migrate"],
        ):
            done = photolineage(lineage, *command)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert {path.name for path in tmp_path.iterdir()} == {NAME}
    assert {path.name for path in folder.iterdir()} == {"photos", "home", "album", CONFIGURATION}
    catalog = sqlite3.connect(folder / "home/catalog.db")
    assert catalog.execute("SELECT count(*) FROM image").fetchone() == (28,)
    catalog.close()


def test_photos_catalog_and_album_may_lie_where_dagster_could_not(
    new_library_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "100%41 sure? #1 ö'\""
    shutil.copytree(new_library_folder / "photos", folder / "photos")
    configuration = (new_library_folder / CONFIGURATION).read_text()
    (folder / CONFIGURATION).write_text(
        configuration.replace("home = 'home'", "home = '../home'\ncatalog.url = 'sqlite:///rel.db'")
    )
    with open_lineage(folder / CONFIGURATION) as lineage:
        for command in (["run", "--model", "tiny-a"], ["why", "1"], ["report", str(folder / "album?%41")]):
            done = photolineage(lineage, *command)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, "home"}
    left = {path.name for path in folder.iterdir()} - {
        "rel.db-wal",
        "rel.db-shm",
    }  # this process holds it open
    assert left == {"photos", "rel.db", "album?%41", CONFIGURATION}
