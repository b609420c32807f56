"""`photolineage pin` as a person and a program meet it."""

import re

import pytest

from photolineage.settings.private_home import close_home
from tests.command_line import after_configuration, as_json, failure, photolineage
from tests.lineage import Lineage
from tests.pinned import TEXT, Pinned


@pytest.fixture(autouse=True)
def _the_home_is_closed(pinned: Pinned) -> None:
    """As any command leaves it: the first one on an open home says that it closed it."""
    close_home(pinned.lineage.home)


@pytest.fixture
def lineage(pinned: Pinned) -> Lineage:
    return pinned.lineage


def words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_a_search_is_pinned_listed_and_removed(lineage: Lineage, pinned: Pinned) -> None:
    photo = pinned.lost()
    path = str(lineage.library.root / pinned.path_of(photo))
    ranks = {model: pinned.ranking(model).index(photo) + 1 for model in ("tiny-a", "tiny-b")}

    done = photolineage(lineage, "pin", TEXT, "--expect", path, "--within", "3")
    assert (done.returncode, after_configuration(done.stderr)) == (0, "")
    assert f"1 “{TEXT}” found {ranks['tiny-a']} 3 {path}" in words(done.stdout)
    assert "tiny-a finds the photo of the pinned search." in done.stdout

    listed = as_json(lineage, "pin", "--model", "tiny-b")
    assert (listed["model"], listed["serving_model"]) == ("tiny-b", "tiny-a")
    assert listed["pins"] == [
        {
            "id": 1,
            "search": f"“{TEXT}”",
            "content_hash": lineage.library.images()[pinned.path_of(photo)].content_hash,
            "image_id": photo,
            "path": path,
            "within": 3,
            "result": "lost",
            "answer": {"found": False, "rank": ranks["tiny-b"], "note": ""},
            "answer_of_serving_model": {"found": True, "rank": ranks["tiny-a"], "note": ""},
        }
    ]
    assert as_json(lineage, "pin", "--remove", "1") == {"removed": [1]}
    done = photolineage(lineage, "pin")
    assert done.stdout.startswith("No searches are pinned. To pin one, run ")


def test_a_photo_that_is_not_found_now_is_pinned_with_a_warning(lineage: Lineage, pinned: Pinned) -> None:
    photo = pinned.found_by_none()
    rank = pinned.ranking("tiny-a").index(photo) + 1
    done = photolineage(lineage, "pin", TEXT, "--expect", str(photo), "--within", "3")
    assert done.returncode == 0
    assert re.search(rf" not found {rank} 3 ", words(done.stdout))
    assert "Warning: tiny-a does not find the photo of the pinned search: “coloured squares”." in done.stderr
    assert [pin["id"] for pin in as_json(lineage, "pin")["pins"]] == [1]


def test_every_part_of_a_search_is_pinned(lineage: Lineage, pinned: Pinned) -> None:
    image = lineage.library.images()["2023/04.jpg"]
    arguments = [
        "a dog", "a cat", "--not", "people", "--image-id", "1", "--expect", image.content_hash, "--within", "26",
        "--source", "photos", "--since", "2023-01-01T00:00Z", "--before", "2024-01-01T00:00Z",
    ]  # fmt: skip
    (made,) = as_json(lineage, "pin", *arguments)["pins"]
    assert re.fullmatch(
        r"“a dog”, “a cat”, not “people”, the picture [0-9a-f]{8}…, source photos, since 2023-01-01 00:00 UTC, "
        r"before 2024-01-01 00:00 UTC",
        made["search"],
    )
    search = ["search", "a dog", "a cat", "--not", "people", "--image-id", "1", *arguments[9:], "-k", "26"]
    hits = [hit["image_id"] for hit in as_json(lineage, *search)["hits"]]
    assert (made["result"], made["answer"]["rank"]) == ("found", hits.index(image.id) + 1)
    assert as_json(lineage, "pin")["pins"] == [made]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kayak"], "give a search and the photo that it must find"),
        (["--expect", "1"], "give a search and the photo that it must find"),
        (["kayak", "--expect", "1", "--remove", "1"], "give a search and the photo that it must find"),
        (["--source", "photos"], "give a search and the photo that it must find"),
        (["kayak", "--expect", "999"], "image 999 is not in the catalog"),
        (["  ", "--expect", "1"], "the text is empty"),
        (
            ["kayak", "--expect", "1", "--source", "fotos"],
            "source 'fotos' is not in the library; closest: photos",
        ),
        (["--remove", "4"], "there is no pinned search 4. Nothing was removed."),
    ],
)
def test_what_cannot_be_pinned(lineage: Lineage, arguments: list[str], message: str) -> None:
    assert message in words(failure(lineage, "pin", *arguments))
    with lineage.library.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pinned_search").scalar_one() == 0


def test_a_hostile_search_is_shown_as_text(lineage: Lineage) -> None:
    hostile = "[/red] \x1b]0;owned\x07\n:smile:"
    done = photolineage(lineage, "pin", hostile, "--expect", "1", "--within", "26")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert r"“[/red] \x1b]0;owned\x07\n:smile:”" in words(done.stdout)
