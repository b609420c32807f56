"""The page `library_status`: its figures, what is stale and why, links to failures, and pictures."""

import re

from dagster import AssetCheckKey, AssetKey, DagsterEventType, DagsterRunStatus

from assets.orchestration.partitions import SHARDS
from photolineage.catalog.listing import list_events
from photolineage.models.registry import require_model
from photolineage.steps.library_status import library_figures
from schema_checks.failed_checks import FailedCheck, find_failed_checks
from tests.library import draw_photo, touch
from tests.lineage import Lineage, failure_of, metadata_of
from workloads.dagster_ui import partition_tags

HOSTILE = "a [link](javascript:alert(1)) `code` | cell\n# heading"


def page(lineage: Lineage) -> dict[str, object]:
    result = lineage.materialize("library_status")
    assert result.success, failure_of(result)
    return metadata_of(result)


def test_the_page_shows_figures_and_pictures(lineage: Lineage) -> None:
    shown = page(lineage)
    assert {name: shown[name] for name in ("images", "unreadable", "duplicates", "missing")} == {
        "images": 28,
        "unreadable": 1,
        "duplicates": 1,
        "missing": 0,
    }
    progress = shown["progress"]
    assert isinstance(progress, list)
    counted = {(row["step"], row["of"]): (row["done"], row["left"]) for row in progress}
    assert counted == {
        ("source_files", "photos"): (28, 0),
        ("registered_images", "photos"): (28, 0),
        ("image_embeddings", "photos × tiny-a"): (26, 0),
        ("image_embeddings", "photos × tiny-b"): (0, 26),
        ("vector_index", "tiny-a"): (26, 0),
        ("image_events", "tiny-a"): (27, 0),
    }
    assert all(row["images/s"] for row in progress if "tiny-a" in str(row["of"]))
    speeds = shown["speeds"]
    assert isinstance(speeds, list)
    assert [row["model"] for row in speeds] == ["tiny-a"]
    assert speeds[0]["images/s"] > 0
    assert shown["stale"] == []
    assert shown["failures"] == "None."
    assert str(shown["newest_events"]).startswith("![Covers of the newest events](data:image/webp;base64,")
    assert len(str(shown["newest_events"])) < 150_000


def test_the_page_says_what_is_stale_and_links_to_what_failed(lineage: Lineage) -> None:
    draw_photo(lineage.library.root / "2024/05.jpg", 100)
    touch(lineage.library.root / "2024/05.jpg")
    (lineage.library.root / "film.mov").touch()
    lineage.must_materialize("source_files", "photos")
    lineage.miscount("tiny-a|photos-00000", by=1)
    lineage.run_check("image_embeddings", "embedding_files", "tiny-a|photos-00000")
    lineage.execute(
        "UPDATE ml_job SET state = 'failed', error = '" + HOSTILE + "' WHERE kind = 'register' "
        "AND subject = 'photos-00001'"
    )
    shown = page(lineage)
    reason = "source_files: 1 new or changed image"
    assert shown["stale"] == [{"asset": "registered_images", "partition": "photos-00002", "reason": reason}]
    assert shown["passed_over"] == [{"source": "photos", "kind": ".mov", "files": 1}]
    failures = str(shown["failures"]).split("\n")[2:]
    (failed,) = [line for line in failures if line.startswith("| [registered_images](/runs/")]
    assert re.fullmatch(
        r"\| \[registered_images\]\(/runs/[0-9a-f-]{36}\) \| `photos-00001` \| "
        r"`` a \[link\]\(javascript:alert\(1\)\) `code` ¦ cell\\n# heading `` \|",
        failed,
    )
    address = "/assets/image_embeddings?view=checks&checkDetail=embedding_files"
    (check,) = [line for line in failures if f"({address})" in line]
    assert check == (
        f"| [embedding_files of image_embeddings]({address}) | `tiny-a¦photos-00000` | "
        "`tiny-a¦photos-00000: 3 files, 1 problems` |"
    )
    assert shown["open_failures"] == len(failures)


def test_only_open_failures_are_shown_each_with_its_own_reason(lineage: Lineage) -> None:
    def failed() -> list[FailedCheck]:
        known = {"tiny-a", *lineage.shards}
        keys = [AssetCheckKey(AssetKey("image_embeddings"), "embedding_files")]
        return list(find_failed_checks(lineage.instance, keys, lambda key: known.issuperset(key.split("|"))))

    def check(partition: str | None) -> None:
        tags = {} if partition is None else partition_tags(partition)
        lineage.run_check_of("image_embeddings", "embedding_files", tags)

    first, second = "tiny-a|photos-00000", "tiny-a|photos-00001"
    lineage.miscount(first, by=1)
    check(first)
    lineage.miscount(second, by=1)
    check(None)  # all partitions at once: also a result without a partition
    lineage.miscount(second, by=-1)
    check(second)
    ((key, partitions, reason),) = [(one.key.name, one.partitions, one.reason) for one in failed()]
    assert (key, partitions) == ("embedding_files", (first,))
    assert reason.startswith(f"{first}: ")

    job = lineage.definitions.resolve_job_def("materialize_image_embeddings")
    run = lineage.instance.create_run_for_job(
        job, status=DagsterRunStatus.STARTED, tags=partition_tags(first)
    )
    planned = lineage.instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    assert "embedding_files" in str(planned)
    assert [one.partitions for one in failed()] == [(first,)], "a run that has no result yet hides no failure"

    lineage.instance.delete_dynamic_partition(str(SHARDS.name), "photos-00000")
    assert failed() == []


def test_the_command_line_and_the_page_have_the_same_figures(lineage: Lineage) -> None:
    library = lineage.library
    figures = library_figures(library.engine, library.settings, library.files, library.indexes)
    shown = page(lineage)
    assert shown["images"] == sum(source.images for source in figures.sources)
    assert shown["progress"] == [
        {"step": one.step, "of": " × ".join(filter(None, (one.source, one.model)))}
        | {"done": one.done, "left": one.left}
        | {"images/s": None if one.images_per_second is None else round(one.images_per_second, 1)}
        | {"time left": "–"}
        for one in figures.progress
    ]


def test_a_folder_that_is_gone_does_not_hide_the_figures(lineage: Lineage) -> None:
    (lineage.home / "embeddings").rename(lineage.home / "elsewhere")
    shown = page(lineage)
    assert shown["images"] == 28
    assert str(lineage.home / "embeddings") in str(shown["problem"])


def test_every_asset_links_to_the_page(lineage: Lineage) -> None:
    graph = lineage.definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys() - {AssetKey("library_status")}:
        assert "](/assets/library_status)" in str(graph.get(key).description), key


def test_the_events_are_those_of_the_serving_model(lineage: Lineage) -> None:
    with lineage.library.engine.connect() as connection:
        assert list_events(connection, require_model(connection, "tiny-a").id)
    lineage.execute("DELETE FROM event_image", "DELETE FROM event")
    assert page(lineage)["newest_events"] == "No events yet."
