"""`photolineage why` as a person and a program meet it."""

import json
import subprocess
import sys

import pytest

from photolineage.settings.private_home import close_home
from tests.command_line import as_json, environment, failure, photolineage
from tests.library import draw_photo
from tests.lineage import Lineage

DATED = "2024/05.jpg"


@pytest.fixture(autouse=True)
def _the_home_is_closed(lineage: Lineage) -> None:
    """As any command leaves it: the first one on an open home says that it closed it."""
    close_home(lineage.home)


def printed(lineage: Lineage, *arguments: str) -> str:
    done = photolineage(lineage, "why", *arguments)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.replace("│", " ").split())


def test_a_photo_by_its_path_and_for_programs(lineage: Lineage) -> None:
    path = str(lineage.library.root / DATED)
    text = printed(lineage, path)
    assert path in text
    assert "embedded by tiny-a yes searches use this model" in text
    assert "the partition tiny-b|photos-00002 of image_embeddings is due" in text

    (answer,) = as_json(lineage, "why", path)["photos"]
    assert (answer["path"], answer["source"], answer["ranking"]) == (path, "photos", None)
    assert answer["image_id"] == lineage.library.images()[DATED].id
    states = {finding["stage"]: finding["state"] for finding in answer["findings"]}
    assert states["taken"] == "2024-06-01 12:18 +0000"
    assert as_json(lineage, "why", str(answer["image_id"]))["photos"] == [answer]


def test_a_query_with_the_filters_of_a_search(lineage: Lineage) -> None:
    hits = as_json(lineage, "search", "coloured squares", "-k", "26")["hits"]
    ids = [hit["image_id"] for hit in hits]
    path = str(lineage.library.root / DATED)
    (answer,) = as_json(lineage, "why", path, "coloured squares")["photos"]
    assert answer["ranking"]["rank"] == ids.index(answer["image_id"]) + 1
    assert answer["ranking"]["page_score"] == pytest.approx(hits[9]["score"], abs=1e-6)

    filters = ["--before", "2024-01-01", "--source", "photos", "--near", "43", "11", "5"]
    (dropped,) = as_json(lineage, "why", path, "coloured squares", *filters)["photos"]
    assert dropped["ranking"]["dropped_by"] == ["before", "place"]
    text = printed(lineage, path, "coloured squares", *filters)
    assert "filter: source yes it lets the photo through" in text
    assert "filter: before drops it the photo was taken 2024-06-01 12:18 UTC" in text


def test_paths_that_no_scan_has_seen(lineage: Lineage) -> None:
    (lineage.library.root / "a.svg").write_bytes(b"x")
    assert "passed over .svg is not a format that is read" in printed(lineage, "a.svg")
    assert "not below any source. The closest: photos" in printed(lineage, "/etc/hostname.jpg")


def test_a_hostile_name_is_shown_as_text(lineage: Lineage) -> None:
    hostile = draw_photo(lineage.library.root / "[/red] \x1b]0;owned\x07\n:smile: x.jpg", 700)
    done = photolineage(lineage, "why", str(hostile))
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert r"[/red] \x1b]0;owned\x07\n:smile: x.jpg" in done.stdout
    (answer,) = as_json(lineage, "why", str(hostile))["photos"]
    assert answer["path"] == str(hostile)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["999"], "image 999 is not in the catalog"),
        (["none.jpg"], "none.jpg: there is no such file in"),
        (["1", "  "], "the text is empty"),
        (["1", "--source", "photos"], "filters need a QUERY"),
        (["1", "squares", "--source", "fotos"], "source 'fotos' is not in the library; closest: photos"),
        (["1", "--model", "tiny-z"], "model 'tiny-z' is not configured"),
    ],
)
def test_what_cannot_be_explained(lineage: Lineage, arguments: list[str], message: str) -> None:
    assert message in " ".join(failure(lineage, "why", *arguments).split())


def test_without_a_query_no_model_is_loaded(lineage: Lineage) -> None:
    heavy = "{'torch', 'open_clip', 'onnxruntime', 'dagster', 'alembic'} & sys.modules.keys()"
    code = (
        "import sys; from photolineage.cli import app; app(['why', '1', '--json'], standalone_mode=False); "
        f"print({heavy}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(lineage.config_file),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["photos"][0]["image_id"] == 1
    assert done.stderr == "set()\n"
