"""`photolineage search` as a person and a program meet it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from photolineage.catalog.listing import list_events
from photolineage.cli.app import app
from photolineage.models.registry import require_model
from photolineage.search.query import OUTDATED
from photolineage.settings import CONFIG_VARIABLE
from tests.command_line import PHOTOLINEAGE, after_configuration, environment, photolineage
from tests.library import draw_photo, write_tiny_model
from tests.lineage import Lineage, change_model


@pytest.fixture(autouse=True)
def configured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's library is the one that commands in this process find."""
    name = "lineage" if "lineage" in request.fixturenames else "new_lineage"
    lineage: Lineage = request.getfixturevalue(name)
    monkeypatch.setenv(CONFIG_VARIABLE, str(lineage.config_file))


def search(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, ["search", *arguments])


def as_json(*arguments: str) -> Any:
    """What a search that succeeds prints with --json: nothing but one JSON value."""
    done = search(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return json.loads(done.stdout)


def hits(lineage: Lineage, *arguments: str) -> list[str]:
    """The hits' paths below the library's root."""
    found = as_json(*arguments)["hits"]
    return [str(Path(hit["path"]).relative_to(lineage.library.root)) for hit in found]


def image_id(lineage: Lineage, path: str) -> str:
    return str(lineage.library.images()[path].id)


def test_by_text_and_by_file(lineage: Lineage) -> None:
    by_text = as_json("coloured squares", "-k", "3")
    assert (by_text["model"], by_text["page"], by_text["notes"]) == ("tiny-a", 1, [])
    assert len(by_text["hits"]) == 3
    scores = [hit["score"] for hit in by_text["hits"]]
    assert scores == sorted(scores, reverse=True)

    photo = lineage.library.root / "2024/05.jpg"
    by_file = as_json("--image", str(photo), "-k", "1")
    (hit,) = by_file["hits"]
    assert hit["score"] > 0.99
    assert hit == {
        "image_id": int(image_id(lineage, "2024/05.jpg")),
        "score": hit["score"],
        "source": "photos",
        "path": str(photo),
        "taken_at": "2024-06-01T12:18:00+00:00",
        "taken_at_precision": "second",
        "latitude": None,
        "longitude": None,
        "copies": [],
        "stack": [],
    }


def test_parts_add_up_with_their_weights(lineage: Lineage) -> None:
    images = lineage.library.images()
    ids = [images["2023/07.jpg"].id, images["2024/02.jpg"].id]
    index = lineage.library.indexes.open("tiny-a", 16)
    wanted, unwanted = index.vectors_of(ids)
    direction = 2 * wanted - 0.5 * unwanted
    every = index.live_rows()["image_id"].to_pylist()
    cosines = index.vectors_of(every) @ (direction / np.linalg.norm(direction))
    expected = sorted(zip(-cosines, every, strict=True))

    parts = ["--weighted-image-id", f"2:{ids[0]}", "--weighted-image-id", f"-0.5:{ids[1]}"]
    whole = as_json(*parts, "-k", "26")["hits"]
    assert [hit["score"] for hit in whole] == pytest.approx([-negative for negative, _ in expected], abs=1e-3)
    assert whole[0]["image_id"] == expected[0][1]
    third = as_json(*parts, "-k", "10", "--page", "3")
    assert (third["page"], third["hits"]) == (3, whole[20:])


def test_a_negative_is_a_weight_below_zero(lineage: Lineage) -> None:
    text = as_json("squares", "-k", "26")["hits"]
    unlike = as_json("--not", "squares", "-k", "26")["hits"]
    assert unlike == as_json("--weighted-text", "-2.5:squares", "-k", "26")["hits"]
    assert [hit["score"] for hit in unlike] == pytest.approx([-hit["score"] for hit in text[::-1]], abs=1e-5)


def test_filters_of_every_kind(lineage: Lineage) -> None:
    like = ["--image-id", image_id(lineage, "2023/02.jpg"), "-k", "50"]
    minutes = ["--since", "2023-06-01T14:02+02:00", "--before", "2023-06-01T12:06:00Z"]
    assert hits(lineage, *like, *minutes) == ["2023/02.jpg", "2023/04.jpg"]
    assert len(hits(lineage, *like, "--since", "2023-01-01", "--before", "2024-01-01")) == 7
    assert len(hits(lineage, *like, "--source", "photos")) == 26
    assert hits(lineage, *like, "--near", "-43.5", "-10.25", "20") == []
    assert hits(lineage, *like, "--box", "-10", "170", "10", "-170") == []
    with lineage.library.engine.connect() as connection:
        event, *_ = list_events(connection, require_model(connection, "tiny-a").id)
    within = hits(lineage, *like, "--event", str(event.id))
    assert set(within) <= set(hits(lineage, *like, "--event", event.title))
    assert len(within) == event.image_count > 0


def test_a_copy_is_shown_with_the_first_of_its_content(lineage: Lineage) -> None:
    copy = lineage.library.root / "2023/copy.jpg"
    (hit,) = as_json("--image", str(copy), "-k", "1")["hits"]
    assert (hit["path"], hit["copies"]) == (str(copy.with_name("03.jpg")), [str(copy)])


def test_neither_an_image_of_the_library_nor_a_text_loads_torch(lineage: Lineage) -> None:
    heavy = "{'torch', 'open_clip', 'dagster', 'alembic'} & sys.modules.keys()"
    for arguments in (["--image-id", "1"], ["coloured squares", "--not", "a beach"]):
        code = (
            f"import sys; from photolineage.cli import app; app(['search', *{arguments}, '-k', '2', '--json'], "
            f"standalone_mode=False); print({heavy}, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment(lineage.config_file),
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(json.loads(done.stdout)["hits"]) == 2
        assert done.stderr == "set()\n"


def test_paths_are_links_and_hostile_names_are_shown_as_text(lineage: Lineage) -> None:
    hostile = draw_photo(lineage.library.root / "2025/[red]\x1b]0;owned\x07\nx\\.jpg", 700)
    lineage.library.build("tiny-a")
    done = subprocess.run(
        [PHOTOLINEAGE, "search", "--image", hostile, "-k", "1"],
        env=environment(lineage.config_file) | {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f";{hostile.as_uri()}\x1b\\" in done.stdout
    assert r"[red]\x1b]0;owned\x07\nx\.jpg" in done.stdout
    assert "\x1b]0;" not in done.stdout
    assert as_json("--image", str(hostile), "-k", "1")["hits"][0]["path"] == str(hostile)


def test_a_contact_sheet_of_hits(lineage: Lineage, tmp_path: Path) -> None:
    sheet = tmp_path / "hits.png"
    done = photolineage(lineage, "search", "--image-id", "1", "-k", "4", "--sheet", str(sheet))
    assert done.returncode == 0, done.stderr
    assert f"Contact sheet: {sheet}" in done.stdout
    with Image.open(sheet) as picture:
        assert picture.width > 100


def test_the_sheet_is_opened_by_the_platform_s_opener(lineage: Lineage, tmp_path: Path) -> None:
    """Of the opener only the name is the platform's: it writes down what it is given."""
    opened = tmp_path / "opened"
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    opener.chmod(0o755)
    path = f"{opener.parent}{os.pathsep}{os.environ['PATH']}"
    done = search_and_open(lineage, path)
    assert done.returncode == 0, done.stderr
    sheet = lineage.home / "search.jpg"
    with Image.open(sheet) as picture:
        assert picture.format == "JPEG"
    assert opened.read_text() == str(sheet)


def test_where_nothing_opens_pictures_the_sheet_is_named(lineage: Lineage, tmp_path: Path) -> None:
    done = search_and_open(lineage, str(tmp_path))
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert said.startswith("Error: xdg-open is missing, so no viewer was started.")
    assert str(lineage.home / "search.jpg") in said
    assert "2023/00.jpg" in done.stdout
    assert (lineage.home / "search.jpg").is_file()


def search_and_open(lineage: Lineage, path: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [PHOTOLINEAGE, "search", "--image-id", "1", "--open"],
        env=environment(lineage.config_file) | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    done.stderr = after_configuration(done.stderr)
    return done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["squares", "--model", "tiny-z"], "model 'tiny-z' is not configured; closest: tiny-b, tiny-a"),
        (["squares", "--model", "tiny-b"], "model 'tiny-b' has no embeddings yet."),
        (["   "], "the text is empty. Describe what the images show"),
        (
            [],
            "the query is empty. Give a text, an image file, an image of the library, or a filter by what is",
        ),
        (["--since", "2024-01-01"], "written: --keyword, --person, --rating or --written"),
        (["--image-id", "999"], "missing from the vector index of model 'tiny-a': images 999"),
        (["--image", "/nowhere.jpg"], "cannot open image file /nowhere.jpg"),
        (["a", "--source", "fotos"], "source 'fotos' is not in the library; closest: photos"),
        (["a", "--source", "' OR 1=1 --"], 'source "\' OR 1=1 --" is not in the library'),
        (["a", "--event", "no such title"], "this model has no event with the id or title 'no such title'"),
        (["a", "--near", "91", "0", "1"], "--near: latitude 91.0: expected -90 to 90 degrees"),
        (["a", "--box", "2", "0", "1", "1"], "--box: box: south 2.0 is north of north 1.0"),
        (
            ["a", "--near", "1", "1", "1", "--box", "1", "1", "2", "2"],
            "--near and --box: give only one of them",
        ),
        (["a", "--since", "2024-01-02", "--before", "2024-01-01"], "is not before taken_to"),
        (["a", "--sheet", "/nowhere/hits.png"], "/nowhere/hits.png: cannot write the picture"),
    ],
)
def test_a_search_that_cannot_be_answered(lineage: Lineage, arguments: list[str], message: str) -> None:
    done = search(*arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    said = " ".join(after_configuration(done.stderr).split())
    assert said.startswith("Error: ")
    assert message in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weighted-text", "beach"], "'beach': give a weight and a value, such as 0.5:beach"),
        (["--weighted-text", "nan:beach"], "weight nan of 'beach': give a number from 0.01 to 100"),
        (["--weighted-text", "1e38:beach"], "weight 1e+38 of 'beach': give a number from 0.01 to 100"),
        (["--weighted-text", "-1e400:beach"], "weight -inf of 'beach': give a number from 0.01 to 100"),
        (["--weighted-image-id", "-0.0:1"], "weight -0 of 1: give a number from 0.01 to 100"),
        (["--weighted-text", "x:beach"], "could not convert string to float: 'x'"),
        (["--weighted-image-id", "1:0"], "no image has such an id"),
        (["--image-id", "0"], "Input should be greater than or equal to 1"),
        (["a", "--since", "yesterday"], "'yesterday': give a date such as 2024-07-20"),
        (["a", "--near", "1", "x", "1"], "Invalid value for '--near'"),
    ],
)
def test_a_value_that_is_none_is_refused(lineage: Lineage, arguments: list[str], message: str) -> None:
    done = search(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_a_text_that_is_too_long_is_cut_and_said(lineage: Lineage) -> None:
    done = search("[b]squares " * 90, "-k", "1")
    assert done.exit_code == 0
    said = " ".join(after_configuration(done.stderr).split())
    assert said == (
        "Note: the text '[b]squares [b]squares [b]squares [b]squ…' is too long for the model: "
        "its end is ignored"
    )


def test_an_index_older_than_its_embeddings_answers_and_says_so(lineage: Lineage) -> None:
    draw_photo(lineage.library.root / "2025/00.jpg", 500)
    lineage.library.scan()
    lineage.library.register_all()
    lineage.library.embed_all()
    found = as_json("--image-id", "1", "-k", "50")
    assert found["notes"] == [OUTDATED]
    assert len(found["hits"]) == 26


def test_an_empty_library_is_an_empty_list(new_lineage: Lineage) -> None:
    new_lineage.must_materialize("catalog_schema")
    found = as_json("squares")
    assert (found["hits"], found["notes"]) == ([], ["the library has no images yet"])


def test_an_unknown_model_is_answered_in_json_too(lineage: Lineage) -> None:
    done = search("squares", "--model", "tiny-z", "--json")
    assert done.exit_code == 1
    assert "tiny-a" in json.loads(done.stdout)["error"]


def test_other_weights_under_a_known_key_are_refused(lineage: Lineage, tmp_path: Path) -> None:
    change_model(lineage, "tiny-a", write_tiny_model(tmp_path / "other", dim=16, seed=99))
    done = search("--image", str(lineage.library.root / "2024/07.jpg"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert after_configuration(done.stderr).startswith(
        "Error: models.tiny-a: the weights or the precision differ"
    )


def test_a_serving_model_that_is_not_configured_any_more(lineage: Lineage) -> None:
    change_model(lineage, "tiny-a", None)
    assert as_json("squares")["model"] == "tiny-a"
    done = search("--image", str(lineage.library.root / "2024/07.jpg"))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Put [models.tiny-a] back into" in done.stderr
