"""Where a photo stands: each state of the lineage, with its reason."""

import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.orm import Image
from photolineage.explain.answer import explain_photo
from photolineage.lineage import JobKind
from photolineage.models.registry import record_serving_model
from photolineage.settings import Settings
from photolineage.steps.jobs import running_job
from photolineage.steps.tree_walk import SourceUnavailableError
from tests.explain.conftest import findings, states
from tests.library import Library, draw_photo, touch
from tests.lineage import Lineage

PHOTO = "2024/05.jpg"


@pytest.fixture
def built(library: Library) -> Library:
    library.build()
    with library.engine.begin() as connection:
        record_serving_model(connection, "tiny-a")
    return library


def photo(library: Library, path: str = PHOTO) -> str:
    return str(library.root / path)


def with_source(library: Library, **changes: object) -> Settings:
    """The settings with other rules of the source."""
    source = library.settings.sources["photos"].model_copy(update=changes)
    return library.settings.model_copy(update={"sources": {"photos": source}})


def test_a_photo_that_went_through_everything(any_library: Library) -> None:
    any_library.build()
    found = findings(any_library, photo(any_library))
    image = any_library.images()[PHOTO]
    assert {stage: finding.state for stage, finding in found.items()} == {
        "file": "there",
        "source": "yes",
        "scan": "yes",
        "shard": image.shard,
        "registered": "yes",
        "taken": "2024-06-01 12:18 +0000",
        "place": "unknown",
        "copies": "none",
        "stack": "none",
        "embedded by tiny-a": "yes",
        "index of tiny-a": "yes",
        "embedded by tiny-b": "not yet",
        "event of tiny-a": "not yet",
    }
    assert found["scan"].reason.startswith(
        f"found {image.discovered_at:%Y-%m-%d %H:%M} UTC; the last complete"
    )
    assert found["registered"].reason == f"read {image.registered_at:%Y-%m-%d %H:%M} UTC: JPEG, 96 × 72"
    assert found["taken"].reason == "from the camera's time in the file (EXIF)"
    due = f"tiny-b|{image.shard} of image_embeddings"
    assert found["embedded by tiny-b"].reason == f"the partition {due} is due"
    assert found["embedded by tiny-b"].remedy == (
        f"Materialize the partition {due}, or run `photolineage run --model tiny-b`."
    )
    assert found["event of tiny-a"].reason == "the partition tiny-a of image_events is due"


def test_the_serving_model_is_named(built: Library) -> None:
    assert findings(built, photo(built))["embedded by tiny-a"].reason == "searches use this model"


def test_an_unreadable_photo_has_its_recorded_reason(built: Library) -> None:
    found = findings(built, photo(built, "2023/torn.jpg"))
    row = built.images()["2023/torn.jpg"]
    assert found["registered"].state == "unreadable"
    assert found["registered"].reason == f"corrupt: {row.failure_detail}"
    assert "--retry-failed" in found["registered"].remedy
    assert not found.keys() & {"taken", "place", "copies"}
    for stage in ("embedded by tiny-a", "index of tiny-a", "embedded by tiny-b", "event of tiny-a"):
        assert found[stage].state == "not yet"


def test_a_copy_names_the_image_that_stands_for_it_and_the_other_way_round(built: Library) -> None:
    images = built.images()
    copy = findings(built, photo(built, "2023/copy.jpg"))
    assert copy["copies"].state == "a copy"
    assert f"as image {images['2023/03.jpg'].id}, photos: 2023/03.jpg" in copy["copies"].reason
    assert (copy["embedded by tiny-a"].state, copy["index of tiny-a"].state) == ("yes", "yes")
    original = findings(built, photo(built, "2023/03.jpg"))["copies"]
    assert (original.state, original.reason) == ("1", "photos: 2023/copy.jpg")


def test_dated_from_and_places(built: Library) -> None:
    undated = findings(built, photo(built, "2024/04.jpg"))
    assert undated["taken"].reason.startswith("from the file's modification time")
    draw_photo(built.root / "IMG_20230714_183012.jpg", 901)
    built.scan()
    built.register_all()
    named = findings(built, photo(built, "IMG_20230714_183012.jpg"))["taken"]
    assert named.state == "2023-07-14 18:30 UTC"
    assert named.reason == (
        "from the name of the file. It names no time zone, so the one of the source (UTC) was assumed"
    )
    values = {"latitude": 43.77, "longitude": 11.25, "time_zone": "Europe/Rome", "utc_offset_minutes": 120}
    with built.engine.begin() as connection:
        connection.execute(update(Image).where(Image.path == PHOTO).values(**values))
    somewhere = findings(built, photo(built))
    assert somewhere["taken"].state == "2024-06-01 14:18 +0200"
    assert (somewhere["place"].state, somewhere["place"].reason) == (
        "43.77000 11.25000",
        "in the time zone Europe/Rome",
    )


def test_a_path_that_the_catalog_has_never_seen(built: Library) -> None:
    draw_photo(built.root / "2025/00.jpg", 902)
    new = findings(built, photo(built, "2025/00.jpg"))
    assert {stage: finding.state for stage, finding in new.items()} == {
        "file": "there",
        "source": "yes",
        "scan": "not yet",
    }
    assert "is newer than the last scan" in new["scan"].reason
    assert "partition photos of source_files" in new["scan"].remedy

    (built.root / "a.svg").write_bytes(b"x")
    assert findings(built, photo(built, "a.svg"))["scan"].reason == ".svg is not a format that is read"
    assert states(built, photo(built, "2023"))["scan"] == "passed over"
    assert states(built, photo(built, "2023"))["file"] == "no file"
    os.mkfifo(built.root / "pipe.jpg")
    assert (
        findings(built, photo(built, "pipe.jpg"))["file"].reason == "this is a pipe, and only files are read"
    )
    (built.root / "dead.jpg").symlink_to("nowhere")
    dead = findings(built, photo(built, "dead.jpg"))
    assert (dead["file"].state, dead["scan"].state) == ("a broken link", "never seen")
    assert states(built, photo(built, "none.jpg")) == {
        "file": "not there",
        "source": "yes",
        "scan": "never seen",
    }


def test_before_the_first_scan_and_after_one_that_failed(library: Library) -> None:
    due = findings(library, photo(library))["scan"]
    assert (due.state, due.reason) == ("not yet", "the partition photos of source_files is due")
    with pytest.raises(SourceUnavailableError), library.scanning():
        raise SourceUnavailableError("the disk hums")
    failed = findings(library, photo(library))["scan"]
    assert failed.state == "failed"
    assert failed.reason.endswith("failed: SourceUnavailableError: the disk hums")


def test_a_file_that_is_gone_then_missing_then_back(built: Library) -> None:
    file = built.root / PHOTO
    away = file.rename(file.with_suffix(".away"))
    assert states(built, str(file))["scan"] == "gone"

    built.scan()
    found = findings(built, str(file))
    assert (found["file"].state, found["scan"].state, found["registered"].state) == (
        "not there",
        "missing",
        "kept",
    )
    assert (found["embedded by tiny-a"].state, found["index of tiny-a"].state) == ("kept", "outdated")
    assert found["event of tiny-a"].state == "not yet"
    built.register_all()
    built.embed_all()
    built.index()
    assert states(built, str(file))["index of tiny-a"] == "not yet"

    away.rename(file)
    back = findings(built, str(file))["scan"]
    assert back.state == "missing"
    assert back.reason.endswith("did not find the file. It is back")


def test_an_unplugged_disk_since_its_first_failed_scan(built: Library) -> None:
    built.root.rename(built.root.with_name("unplugged"))
    found = findings(built, photo(built))
    assert (found["file"].state, found["source"].state, found["scan"].state) == ("not there", "away", "away")
    assert "have failed" not in found["source"].reason
    for _ in range(2):
        with pytest.raises(SourceUnavailableError):
            built.scan()
    _, first, _ = built.jobs(JobKind.SCAN)
    with built.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE ml_job SET started_at = '2024-01-02 03:04:05' WHERE id = ?", (first.id,)
        )
    found = findings(built, photo(built))
    assert "its scans have failed since 2024-01-02 03:04 UTC" in found["source"].reason
    assert found["registered"].state == found["embedded by tiny-a"].state == "yes"


def test_a_folder_that_became_a_mount_point_without_its_disk(built: Library) -> None:
    shutil.rmtree(built.root / "2024")
    (built.root / "2024").mkdir()
    found = findings(built, photo(built))["scan"]
    assert found.state == "away"
    assert "2024 is an empty folder or a broken link" in found.reason


def test_a_file_that_changed_since_the_last_scan(built: Library) -> None:
    touch(built.root / PHOTO)
    assert states(built, photo(built))["scan"] == "changed"
    built.scan()
    found = findings(built, photo(built))
    shard = built.images()[PHOTO].shard
    assert (found["scan"].state, found["registered"].state) == ("yes", "not yet")
    assert found["registered"].reason == f"the partition {shard} of registered_images is due"


def test_rules_that_changed_since_the_image_was_registered(built: Library) -> None:
    settings = with_source(built, exclude=["2024/"])
    found = findings(built, photo(built), settings=settings)["scan"]
    assert found.state == "excluded"
    assert found.reason == (
        "2024/ matches the pattern '2024/' of sources.photos.exclude; the next scan counts the image as missing"
    )
    nowhere = built.settings.model_copy(update={"sources": {}})
    assert states(built, photo(built), settings=nowhere)["source"] == "not configured"


def test_an_image_waits_for_the_registration_of_its_shard(built: Library) -> None:
    draw_photo(built.root / "2025/00.jpg", 903)
    built.scan()
    found = findings(built, photo(built, "2025/00.jpg"))
    shard = built.images()["2025/00.jpg"].shard
    assert found["registered"].reason == f"the partition {shard} of registered_images is due"
    assert found["embedded by tiny-a"].reason == "only a registered image is embedded"
    with built.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE shard SET revision = revision + 1")
    other = findings(built, photo(built))["embedded by tiny-b"]
    assert (other.state, other.reason) == (
        "waits",
        f"the partition {built.images()[PHOTO].shard} of registered_images is due",
    )


@pytest.fixture
def registered_only(built: Library) -> tuple[Library, str]:
    """A registered image that no model has embedded, and its partition of `tiny-a`."""
    draw_photo(built.root / "2025/00.jpg", 904)
    built.scan()
    built.register_all()
    return built, f"tiny-a|{built.images()['2025/00.jpg'].shard}"


def test_a_run_that_failed_gives_its_reason(registered_only: tuple[Library, str]) -> None:
    library, partition = registered_only
    with (
        pytest.raises(MemoryError),
        running_job(library.context(), JobKind.EMBED, partition, input_version="1"),
    ):
        raise MemoryError("no memory left")
    found = findings(library, photo(library, "2025/00.jpg"))["embedded by tiny-a"]
    assert found.state == "failed"
    assert found.reason.startswith(f"the newest run of the partition {partition} of image_embeddings (")
    assert found.reason.endswith("failed: MemoryError: no memory left")
    assert found.remedy.startswith("When that is fixed, materialize the partition")


def test_a_run_at_work_says_how_far_it_is(registered_only: tuple[Library, str]) -> None:
    library, partition = registered_only
    timeout = library.context().lease_timeout
    acquire_lease(
        library.engine, JobKind.EMBED, partition, run_id="r", input_version="1", timeout=timeout, total=7
    )
    found = findings(library, photo(library, "2025/00.jpg"))["embedded by tiny-a"]
    assert found.state == "running"
    assert "0 of 7 images; last sign of life" in found.reason


def test_embedded_and_not_yet_in_the_index(registered_only: tuple[Library, str]) -> None:
    library, _ = registered_only
    library.embed_all()
    found = findings(library, photo(library, "2025/00.jpg"))
    assert found["embedded by tiny-a"].state == "yes"
    assert found["index of tiny-a"].reason == "the partition tiny-a of vector_index is due"
    assert "older than the embeddings" in findings(library, photo(library))["index of tiny-a"].reason
    library.index()
    assert states(library, photo(library, "2025/00.jpg"))["index of tiny-a"] == "yes"


def test_an_index_that_is_lost_or_damaged(built: Library) -> None:
    folder = built.settings.home / "index/tiny-a.lance"
    for file in (folder / "data").iterdir():
        file.write_bytes(b"")
    damaged = findings(built, photo(built))["index of tiny-a"]
    assert damaged.state == "unreadable"
    assert "is damaged" in damaged.reason
    shutil.rmtree(folder)
    assert states(built, photo(built))["index of tiny-a"] == "not yet"


def test_a_model_that_is_not_configured_any_more(built: Library) -> None:
    built.embed(built.shard_keys()[0], "tiny-b")
    settings = built.settings.model_copy(update={"models": {"tiny-a": built.settings.models["tiny-a"]}})
    found = findings(built, photo(built), settings=settings)
    assert found["embedded by tiny-b"].reason == "the model is not in the configuration any more"


def test_the_event_and_why_there_is_none(lineage: Lineage) -> None:
    library = lineage.library
    title = findings(library, photo(library))["event of tiny-a"]
    with library.engine.connect() as connection:
        event = connection.exec_driver_sql(
            "SELECT e.id, e.title, e.image_count FROM event e JOIN event_image i ON i.event_id = e.id "
            "WHERE i.image_id = ?",
            (library.images()[PHOTO].id,),
        ).one()
    assert title.state == event.title
    assert title.reason.startswith(f"event {event.id}, from 2024-06-01")
    assert title.reason.endswith(f", {event.image_count} images")

    lineage.execute("DELETE FROM event_image")
    undated = findings(library, photo(library, "2024/04.jpg"))["event of tiny-a"]
    assert undated.state == "undated"
    assert "a time from file_time (events.trusted_time_sources)" in undated.reason


def test_nothing_is_written(lineage: Lineage, tmp_path: Path) -> None:
    before = (lineage.rows(), lineage.files())
    for asked in (photo(lineage.library), photo(lineage.library, "none.jpg"), str(tmp_path / "x.jxl"), "1"):
        assert explain_photo(lineage.library.settings, lineage.library.engine, asked)
    assert (lineage.rows(), lineage.files()) == before
