"""Two homes on one PostgreSQL catalog: the second is refused by every command and run, until it takes over."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from photolineage.lineage import JobKind
from photolineage.settings.private_home import close_home
from tests.command_line import as_json, failure, photolineage
from tests.lineage import CONFIGURATION, Lineage, failure_of, open_lineage

REFUSED = (
    ["run", "--model", "tiny-a"],
    ["status"],
    ["search", "--image-id", "1"],
    ["retire", "tiny-b", "--delete-files"],
    ["repair", "--apply"],
    ["migrate"],
    ["ui"],
)


@pytest.fixture
def make_home(
    tmp_path: Path, new_library_folder: Path, postgresql_database: URL
) -> Iterator[Callable[[str], Lineage]]:
    """Makes homes over the same photos, with the same catalog."""
    opened = []
    shutil.copytree(new_library_folder / "photos", tmp_path / "photos")
    configuration = (new_library_folder / CONFIGURATION).read_text().replace("'photos'", "'../photos'")
    url = postgresql_database.render_as_string(hide_password=False)

    def make(name: str) -> Lineage:
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIGURATION).write_text(f'catalog.url = "{url}"\n{configuration}')
        context = open_lineage(tmp_path / name / CONFIGURATION)
        opened.append(context)
        return context.__enter__()

    yield make
    for context in opened:
        context.__exit__(None, None, None)


def test_without_a_library_nothing_is_created(new_lineage: Lineage) -> None:
    shutil.rmtree(new_lineage.home, ignore_errors=True)
    assert "there is no library yet" in failure(new_lineage, "adopt", "--yes")
    assert not (new_lineage.home / "catalog.db").exists()


def test_another_home_is_refused_until_it_takes_over(make_home: Callable[[str], Lineage]) -> None:
    first, second = make_home("first"), make_home("second")
    assert "materialized" in as_json(first, "run", "--model", "tiny-a")
    rows = [first.library.images(), *map(first.library.jobs, JobKind)]
    files = first.files()

    for command in (*REFUSED, ["report", str(second.home / "album")]):
        message = failure(second, *command)
        assert f":{first.home}. Two homes on one catalog" in message.replace("\n", ""), command
    result = second.materialize("source_files", "photos")
    assert "belongs to the home" in failure_of(result)
    checks = {found["name"]: found for found in _check(second)}
    assert not checks["catalog: store"]["passed"]
    assert "photolineage adopt" in checks["catalog: store"]["description"]
    assert not [path for path in second.home.iterdir() if path.name != "dagster"]
    assert rows == [first.library.images(), *map(first.library.jobs, JobKind)]

    assert "nothing was changed" in failure(second, "adopt")
    assert as_json(first, "adopt") == {"adopted": False, "home": first.library.files.place}
    assert as_json(first, "run", "--model", "tiny-a")["nothing_to_do"]
    assert first.files() == files

    done = photolineage(second, "adopt", "--yes")
    assert (done.returncode, done.stdout.split(".")[0]) == (0, "The catalog now belongs to this home")
    made = as_json(second, "run", "--model", "tiny-a")["materialized"]
    assert {len(made[asset]) for asset in ("registered_images", "image_embeddings")} == {3}
    assert second.library.live().missing == 0
    assert as_json(second, "run", "--model", "tiny-a")["nothing_to_do"]
    assert close_home(second.home) is None
    assert "belongs to the home" in failure(first, "run", "--model", "tiny-a")
    assert all(found["passed"] for found in as_json(second, "check")["checks"])


def _check(lineage: Lineage) -> list[dict[str, Any]]:
    done = photolineage(lineage, "check", "--json")
    assert done.returncode == 1
    found: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
    return found


def test_a_copied_home_with_its_sqlite_catalog_is_a_library_of_its_own(
    lineage: Lineage, tmp_path: Path
) -> None:
    shutil.copytree(lineage.config_file.parent, tmp_path / "copy")
    with open_lineage(tmp_path / "copy" / CONFIGURATION) as copy:
        for one in (copy, lineage, copy):
            assert as_json(one, "run", "--model", "tiny-a")["unavailable"] == {}
            assert as_json(one, "search", "--image-id", "1")["hits"]
            assert all(found["passed"] for found in as_json(one, "check")["checks"])


def test_a_renamed_home_goes_on(lineage: Lineage, tmp_path: Path) -> None:
    moved = lineage.config_file.parent.rename(tmp_path / "renamed")
    with open_lineage(moved / CONFIGURATION) as renamed:
        assert as_json(renamed, "search", "--image-id", "1")["hits"]
        report = as_json(renamed, "run", "--model", "tiny-a")
        assert "image_embeddings" not in report["materialized"]
        assert all(found["passed"] for found in as_json(renamed, "check")["checks"])


def test_a_home_whose_store_was_emptied_says_so_and_adopt_makes_it_due(lineage: Lineage) -> None:
    for name in ("store", "previews", "embeddings", "index"):
        shutil.rmtree(lineage.home / name)
    message = failure(lineage, "search", "--image-id", "1")
    assert "folder 'store', by which the catalog" in message.replace("\n", " ")
    assert photolineage(lineage, "adopt", "--yes").returncode == 0
    as_json(lineage, "run", "--model", "tiny-a")
    assert lineage.library.live().missing == 0
    assert all(found["passed"] for found in as_json(lineage, "check")["checks"])
