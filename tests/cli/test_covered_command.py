"""`photolineage covered`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from photolineage.settings import load_settings
from tests.command_line import photolineage
from tests.library import Library, draw_photo
from tests.lineage import Lineage


def test_a_disk_is_covered_once_its_copies_are_verified(
    new_lineage: Lineage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "photolineage.steps.covered.physical_disks",
        lambda path: frozenset({"sdb" if "/backup" in path else "sda"}),
    )
    config = new_lineage.config_file
    new_lineage.must_materialize("catalog_schema")
    text = config.read_text()
    for name in ("disk", "backup"):
        draw_photo(tmp_path / name / "one.jpg", 1)
        text += f"[sources.{name}]\nroot = '{tmp_path / name}'\n"
    config.write_text(text)
    settings = load_settings(config)
    for name in ("disk", "backup"):
        source = Library(settings, new_lineage.library.engine, name)
        source.scan()
        source.register(f"{name}-00000")

    before = photolineage(new_lineage, "covered", "disk")
    assert before.returncode == 1
    assert "not verified since it was registered" in before.stdout
    assert "NOT covered" in before.stdout
    assert "Run verified_originals for backup-00000 first" in before.stdout

    source.verify("backup-00000")
    after = photolineage(new_lineage, "covered", "disk", "--by", "backup")
    assert after.returncode == 0
    assert "You may wipe it" in after.stdout

    (tmp_path / "disk/clip.mov").touch()
    assert (
        "NOT covered: 1 other file cannot be compared." in photolineage(new_lineage, "covered", "disk").stdout
    )
    answer = photolineage(new_lineage, "covered", "disk", "--json")
    assert answer.returncode == 1
    found = json.loads(answer.stdout)
    assert (found["covered"], found["not_compared"]) == (
        False,
        {".mov": {"count": 1, "examples": ["clip.mov"]}},
    )
    assert found["images"][0]["copies"][0]["source"] == "backup"

    unknown = photolineage(new_lineage, "covered", "nowhere")
    assert unknown.returncode == 1
    assert "source 'nowhere' is not in the catalog" in unknown.stderr
