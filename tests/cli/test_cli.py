"""`photolineage …` as a person and a program meet it: what it prints, where, and its exit code."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from photolineage.catalog.migrate import head_revision
from tests.command_line import as_json, embedded_images, failure, in_own_process, photolineage
from tests.library import draw_photo
from tests.lineage import Lineage, change_model


def test_run_twice(new_lineage: Lineage) -> None:
    first = in_own_process(new_lineage, "run")
    assert first.returncode == 0, first.stderr
    assert "up to date" not in first.stdout
    assert "photos" in first.stdout
    files = new_lineage.files()

    second = photolineage(new_lineage, "run")

    assert second.returncode == 0
    assert "Everything is up to date. You don't need to do anything." in second.stdout
    assert new_lineage.files() == files
    assert embedded_images(new_lineage) == (26, 26)


def test_run_for_programs(lineage: Lineage) -> None:
    draw_photo(lineage.library.root / "2025/00.jpg", 500)

    report = as_json(lineage, "run", command=in_own_process)

    assert report["nothing_to_do"] is False
    assert report["materialized"] == {
        "source_files": ["photos"],
        "registered_images": ["photos-00002"],
        "image_embeddings": ["tiny-a|photos-00002"],
        "vector_index": ["tiny-a"],
        "image_events": ["tiny-a"],
    }
    (source,) = report["status"]["sources"]
    assert (source["images"], source["registered"], source["duplicates"], source["failed"]) == (29, 28, 1, 1)


def test_unreadable_images_are_read_again_on_request_only(lineage: Lineage) -> None:
    torn = lineage.library.root / "2023/torn.jpg"
    lineage.execute("UPDATE image SET failure_reason = 'permission_denied' WHERE state = 'failed'")
    assert as_json(lineage, "run")["nothing_to_do"] is True

    report = as_json(lineage, "run", "--retry-failed")

    assert report["materialized"]["registered_images"] == ["photos-00001"]
    assert lineage.library.images()["2023/torn.jpg"].failure_reason == "corrupt"
    assert report["status"]["sources"][0]["failed"] == 1
    assert torn.is_file()

    torn.unlink()
    assert "registered_images" in as_json(lineage, "run", "--retry-failed")["materialized"]
    assert as_json(lineage, "run", "--retry-failed")["nothing_to_do"] is True


def test_run_with_a_serving_model_that_is_not_configured_any_more(lineage: Lineage) -> None:
    change_model(lineage, "tiny-a", None)
    said = failure(lineage, "run")
    assert "model 'tiny-a' is in the catalog but not in the configuration" in said
    assert "Put [models.tiny-a] back into" in said
    assert "Valid: tiny-b" in said


def test_photos_become_a_source_once(lineage: Lineage, tmp_path: Path) -> None:
    holiday = tmp_path / "My Holiday"
    draw_photo(holiday / "a.jpg", 600)
    sources = lineage.home / "sources.toml"

    first = as_json(lineage, "run", "--photos", str(holiday))
    written = sources.read_text()
    second = as_json(lineage, "run", "--photos", str(holiday))

    assert first["materialized"]["source_files"] == ["my-holiday"]
    assert first["materialized"]["registered_images"] == ["my-holiday-00000"]
    assert second["nothing_to_do"] is True
    assert sources.read_text() == written
    assert f'[sources."my-holiday"]\nroot = "{holiday}"\n' in written


def test_a_source_that_is_unplugged_holds_up_no_other(lineage: Lineage, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for number in range(3):
        draw_photo(disk / f"{number}.jpg", 600 + number)
    as_json(lineage, "run", "--photos", str(disk))
    disk.rename(tmp_path / "unplugged")
    draw_photo(lineage.library.root / "2025/00.jpg", 500)

    report = as_json(lineage, "run")

    assert list(report["unavailable"]) == ["disk"]
    assert (
        f"{disk}: cannot be read: No such file or directory. Mount the disk" in report["unavailable"]["disk"]
    )
    assert report["materialized"]["vector_index"] == ["tiny-a"]
    assert [(source["key"], source["missing"]) for source in report["status"]["sources"]] == [
        ("disk", 0),
        ("photos", 0),
    ]
    shown = photolineage(lineage, "run")
    assert shown.returncode == 0
    assert f"Skipped: source_files disk: {disk}: cannot be read" in shown.stderr
    lineage.library.root.rename(tmp_path / "all unplugged")
    assert "Mount the disk" in failure(lineage, "run")


def test_photos_that_are_not_there(lineage: Lineage, tmp_path: Path) -> None:
    message = failure(lineage, "run", "--photos", str(tmp_path / "nowhere"))
    assert f"--photos {tmp_path}/nowhere: no such directory" in message
    assert not (lineage.home / "sources.toml").exists()


def test_status(lineage: Lineage) -> None:
    status = as_json(lineage, "status")
    assert status["sources"] == [
        {
            "key": "photos",
            "images": 28,
            "discovered": 0,
            "registered": 27,
            "duplicates": 1,
            "failed": 1,
            "missing": 0,
            "passed_over": {},
            "rotten": 0,
            "verified_at": None,
        }
    ]
    (model,) = status["models"]
    assert (model["key"], model["serving"], model["committed_embeddings"], model["embeddable"]) == (
        "tiny-a",
        True,
        26,
        26,
    )
    assert status["jobs"] == []


def test_status_before_the_first_run(new_lineage: Lineage) -> None:
    assert "there is no library yet" in failure(new_lineage, "status")


def test_compare_two_models(lineage: Lineage, tmp_path: Path) -> None:
    refused = failure(lineage, "compare", "tiny-a")
    assert "tiny-a is the serving model: choose another model to compare it with" in refused
    for shard in lineage.shards:
        assert lineage.materialize_embeddings("tiny-b", shard).success
    lineage.must_materialize("vector_index", "tiny-b")

    done = photolineage(lineage, "compare", "tiny-b", "--sheet", str(tmp_path / "sheet.png"))

    assert done.returncode == 0, done.stderr
    assert re.search(r"dimension\W+16\W+24", done.stdout)
    assert "To promote: launch the job promote_model with `model: tiny-b`;" in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (1032, 1192)


def test_retire_lists_and_deletes_only_when_asked_to(lineage: Lineage) -> None:
    assert "tiny-a is the serving model: search uses its files" in failure(lineage, "retire", "tiny-a")
    assert lineage.materialize_embeddings("tiny-b", "photos-00000").success
    listed = as_json(lineage, "retire", "tiny-b")
    assert (listed["deleted"], listed["retirement"]["committed_files"]) == (False, 3)
    own = [path for path in lineage.home.rglob("*") if path.is_file() and "tiny-b" in str(path)]
    assert listed["size_bytes"] == sum(path.stat().st_size for path in own)
    assert "tiny-b is still configured" in failure(lineage, "retire", "tiny-b", "--delete-files")

    configuration = lineage.config_file.read_text()
    lineage.config_file.write_text(re.sub(r"\[models\.tiny-b\]\n.*\n", "", configuration))
    done = photolineage(lineage, "retire", "tiny-b", "--delete-files")

    assert done.returncode == 0, done.stderr
    assert "were deleted." in done.stdout
    assert [path for path in own if path.exists()] == []


def test_repair_lists_and_repairs_only_when_asked_to(lineage: Lineage) -> None:
    assert "There is nothing to repair." in photolineage(lineage, "repair").stdout
    lineage.execute("DROP INDEX ix_image_content_hash", "ALTER TABLE image ADD COLUMN rating INTEGER")
    listed = photolineage(lineage, "repair")
    assert listed.returncode == 0, listed.stderr
    assert "CREATE INDEX" in listed.stdout
    assert "Nothing was changed yet: add --apply." in listed.stdout

    def repair(*options: str) -> dict[str, str]:
        done = as_json(lineage, "repair", *options)
        return {one["where"]: one["outcome"] for one in done["repairs"]}

    index, column = "image.ix_image_content_hash", "image.rating"
    assert repair() == {index: "will be applied", column: "only with allow_data_loss"}
    assert repair("--apply") == {index: "done", column: "only with allow_data_loss"}
    assert repair("--apply", "--allow-data-loss") == {column: "done"}
    assert repair() == {}
    assert len(list((lineage.home / "backups").iterdir())) == 2


def test_events(lineage: Lineage) -> None:
    listed = as_json(lineage, "events")
    assert listed["model"] == "tiny-a"
    assert len(listed["events"]) >= 2
    starts = [event["starts_at"] for event in listed["events"]]
    assert starts == sorted(starts, reverse=True)
    newest = as_json(lineage, "events", "--limit", "1")
    assert newest["events"] == listed["events"][:1]


def test_a_contact_sheet_of_events(lineage: Lineage, tmp_path: Path) -> None:
    from PIL import Image

    sheet = tmp_path / "events.png"
    done = photolineage(lineage, "events", "--limit", "1", "--sheet", str(sheet))
    assert done.returncode == 0, done.stderr
    assert str(sheet) in done.stdout.replace("\n", "")
    with Image.open(sheet) as picture:
        one = picture.size
    photolineage(lineage, "events", "--sheet", str(sheet))
    with Image.open(sheet) as picture:
        assert picture.height == one[1]
        assert picture.width > one[0]


@pytest.mark.parametrize("name", ["events.no-such-format", "no-such-folder/events.png"])
def test_a_contact_sheet_that_cannot_be_written(lineage: Lineage, tmp_path: Path, name: str) -> None:
    said = failure(lineage, "events", "--sheet", str(tmp_path / name))
    assert "cannot write the picture" in " ".join(said.split())


def test_an_album(lineage: Lineage, tmp_path: Path) -> None:
    album = tmp_path / "album"
    written = as_json(lineage, "report", str(album))
    assert (written["model"], written["events"], written["images"]) == ("tiny-a", 2, 26)
    assert written["pages"] == {"written": 6, "unchanged": 0, "removed": 0}
    assert written["first_page"] == str(album / "index.html")

    again = photolineage(lineage, "report", str(album))
    assert again.returncode == 0, again.stderr
    assert "Pages: 0 written, 6 unchanged, 0 removed" in again.stdout
    assert "Pictures: 0 written, 26 unchanged, 0 removed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos"], "photos is not empty and is not an album. Give a new folder, or the folder of an album"),
        (["album", "--model", "tiny-b"], "model 'tiny-b' has no embeddings yet."),
    ],
)
def test_an_album_that_cannot_be_written(lineage: Lineage, arguments: list[str], message: str) -> None:
    folder, *options = arguments
    said = failure(lineage, "report", str(lineage.library.root.parent / folder), *options)
    assert message in " ".join(said.split())


def test_check_passes_and_fails(lineage: Lineage) -> None:
    passed = as_json(lineage, "check")
    assert passed["passed"] is True
    assert [check["name"] for check in passed["checks"] if not check["passed"]] == []
    assert {"catalog: table image", "tiny-a: index_coverage"} <= {check["name"] for check in passed["checks"]}

    lineage.execute("ALTER TABLE image RENAME COLUMN camera TO camera_model")
    failed = in_own_process(lineage, "check", "--json")
    assert failed.returncode == 1
    report = json.loads(failed.stdout)
    assert report["passed"] is False
    assert [check["name"] for check in report["checks"] if not check["passed"]] == ["catalog: table image"]

    shown = photolineage(lineage, "check")
    assert shown.returncode == 1
    assert "FAILED" in shown.stdout


def test_a_lost_index_fails_the_check_and_is_rebuilt_by_the_next_run(lineage: Lineage) -> None:
    shutil.rmtree(lineage.home / "index")
    report = json.loads(photolineage(lineage, "check", "--json").stdout)
    (failed,) = [check for check in report["checks"] if not check["passed"]]
    assert failed["name"] == "tiny-a: index_coverage"
    assert "model 'tiny-a' has no vector index" in failed["description"]

    assert as_json(lineage, "run")["materialized"] == {"source_files": ["photos"], "vector_index": ["tiny-a"]}
    assert as_json(lineage, "check")["passed"] is True
    assert as_json(lineage, "run")["nothing_to_do"] is True


def test_a_run_says_what_of_a_source_is_away(lineage: Lineage) -> None:
    (lineage.library.root / "disk").symlink_to(lineage.library.root.with_name("disk"))
    assert as_json(lineage, "run")["links"]["photos"].startswith("disk: these links were not followed")
    text = lineage.config_file.read_text()
    lineage.config_file.write_text(
        text.replace("[sources.photos]\n", "[sources.photos]\nfollow_links = 'all'\n")
    )
    lineage.execute(
        "UPDATE image SET path = CAST('disk/00.jpg' AS BLOB) WHERE path = CAST('2023/00.jpg' AS BLOB)"
    )
    assert as_json(lineage, "run")["away"]["photos"].startswith("disk/ (1 images): ")


def test_migrate_makes_a_catalog_once(new_lineage: Lineage) -> None:
    first = as_json(new_lineage, "migrate")
    assert (first["before"], first["revision"]) == (None, head_revision())
    second = in_own_process(new_lineage, "migrate")
    assert (second.returncode, second.stdout) == (0, f"Already up to date (revision {head_revision()}).\n")


def test_a_step_that_fails_is_exit_code_1_with_its_reason(lineage: Lineage) -> None:
    draw_photo(lineage.library.root / "2025/00.jpg", 500)
    lineage.execute("ALTER TABLE image RENAME COLUMN camera TO camera_model")
    message = failure(lineage, "run", command=in_own_process)
    assert "source_files photos:" in message
    assert "between the code and the database, in image. Launch the job `repair`" in message
    assert "Nothing was written." in message


def test_a_wrong_configuration_is_a_message(lineage: Lineage) -> None:
    lineage.config_file.write_text("shard_capacity = 0\n" + lineage.config_file.read_text())
    lineage.config_file.write_text(lineage.config_file.read_text().replace("shard_capacity = 10\n", ""))
    message = failure(lineage, "status")
    assert "shard_capacity = 0: Input should be greater than or equal to 1" in message
