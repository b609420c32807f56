"""The wheel, installed where there is no checkout: one name in site-packages, and every command works."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from workloads import REPOSITORY_ROOT
from workloads.dagster_ui import serving_ui

CARRIED = {"assets", "resources", "schema_checks", "deploy", "definitions.py", "workspace.yaml"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, REPOSITORY_ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and, behind it, the packages of this one but for the editable project."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", "--no-deps", "--ignore-installed", "--quiet", wheel], check=True)
    return folder


@pytest.fixture
def photolineage(installed: Path, tmp_path: Path) -> "Command":
    (tmp_path / "empty").mkdir()
    return Command(installed, tmp_path)


class Command:
    """The installed command, called from an empty folder by a person without any configuration."""

    def __init__(self, installed: Path, person: Path) -> None:
        self.program = installed / "bin" / "photolineage"
        self.folder = person / "empty"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PHOTOLINEAGE_", "PYTHON", "DAGSTER_"))
        }
        self.environment: Mapping[str, str] = inherited | {
            "XDG_DATA_HOME": str(person / "data"),
            "XDG_CONFIG_HOME": str(person / "config"),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    def __call__(
        self, *arguments: str | Path, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *arguments: str | Path) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_pip_puts_one_name_into_site_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"photolineage"}
    assert {name.split("/")[2] for name in names if name.startswith("photolineage/project/")} == CARRIED
    assert "photolineage/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "workloads"))]


def test_the_demo_runs_and_answers_from_an_empty_folder(photolineage: Command, tmp_path: Path) -> None:
    photolineage.succeed("demo")
    found = json.loads(photolineage.succeed("search", "snowy mountains", "--json"))
    assert found["model"] == "demo-clip-v1"
    assert len(found["hits"]) == 10
    assert json.loads(photolineage.succeed("check", "--json"))["passed"]
    photolineage.succeed("report", "album")
    assert (photolineage.folder / "album" / "index.html").is_file()
    (source,) = json.loads(photolineage.succeed("status", "--json"))["sources"]
    assert (source["key"], source["images"]) == ("demo", 303)
    assert {entry.name for entry in photolineage.folder.iterdir()} == {"album"}
    assert "the demo's" in photolineage("status").stderr

    photos = tmp_path / "photos"
    (photos / "assets").mkdir(parents=True)
    for trap in ("assets/__init__.py", "definitions.py", "dagster.py", "photolineage.py"):
        (photos / trap).write_text("raise SystemExit('a file among photos was imported')")
    done = photolineage("run", "--photos", photos, folder=photos)
    assert "built in" in done.stderr
    assert "imported" not in done.stderr + done.stdout
    assert "no images" in done.stderr
    own = json.loads(photolineage.succeed("status", "--json"))
    assert [source["key"] for source in own["sources"]] == ["photos"]
    with serving_ui(photolineage.program, photolineage.environment, tmp_path / "ui.log", folder=photos) as ui:
        assert ui.run_job("check_contract", None, {}, seconds=120) == "SUCCESS"
        assert ui.run_job("materialize_source_files", "photos", {}, seconds=120) == "SUCCESS"
