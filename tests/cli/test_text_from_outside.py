"""Paths, titles and errors from outside are shown unchanged, except that control characters are escaped."""

from pathlib import Path

from tests.command_line import as_json, photolineage
from tests.library import draw_photo
from tests.lineage import Lineage

HOSTILE = "[/red] \x1b]0;owned\x07\n:smile: x"
ESCAPED = r"[/red] \x1b]0;owned\x07\n:smile: x"


def shown(lineage: Lineage, *arguments: str) -> str:
    """Everything that a command prints. The command succeeds."""
    done = photolineage(lineage, *arguments)
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    assert "\x1b" not in printed
    return printed


def test_status_shows_the_error_of_a_job(lineage: Lineage) -> None:
    with lineage.library.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE ml_job SET state = 'failed', error = ? WHERE kind = 'scan'", (f"{HOSTILE}/a.jpg",)
        )
    first, second = ESCAPED.split(r"\n")
    printed = shown(lineage, "status")
    assert first in printed
    assert f"{second}/a.jpg" in printed


def test_events_shows_a_title(lineage: Lineage) -> None:
    with lineage.library.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE event SET title = ?", (HOSTILE,))
    assert ESCAPED in shown(lineage, "events")
    assert {event["title"] for event in as_json(lineage, "events")["events"]} == {HOSTILE}


def test_search_shows_a_path(lineage: Lineage) -> None:
    photo = draw_photo(lineage.library.root / HOSTILE / "a.jpg", 700)
    lineage.build("tiny-a")
    assert f"{ESCAPED}/a.jpg" in shown(lineage, "search", "--image", str(photo), "-k", "1")
    (hit,) = as_json(lineage, "search", "--image", str(photo), "-k", "1")["hits"]
    assert hit["path"] == str(photo)


def test_run_shows_a_folder_that_is_unplugged(lineage: Lineage, tmp_path: Path) -> None:
    disk = tmp_path / HOSTILE
    draw_photo(disk / "a.jpg", 600)
    as_json(lineage, "run", "--photos", str(disk))
    disk.rename(tmp_path / "unplugged")
    assert f"{tmp_path}/{ESCAPED}: cannot be read" in shown(lineage, "run")


def test_run_shows_a_folder_that_is_missing(lineage: Lineage, tmp_path: Path) -> None:
    done = photolineage(lineage, "run", "--photos", str(tmp_path / HOSTILE))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"--photos {tmp_path}/{ESCAPED}: no such directory" in done.stderr
