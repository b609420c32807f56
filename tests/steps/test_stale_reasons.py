"""Why a partition is stale: the input that has changed, and how many images the change affects."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.leases import JOBS_KEPT
from photolineage.catalog.orm import MlJob, Source
from photolineage.lineage import JobKind
from photolineage.steps.freshness import FORGOTTEN, RETIRED, events_version, find_stale_work
from photolineage.steps.index import maintain_index
from photolineage.steps.jobs import running_job
from photolineage.steps.lost_files import find_lost_files, make_due
from photolineage.steps.stale_reasons import StalePartition, explain_stale, find_outdated
from tests.library import Library, draw_photo, touch

DAYS = timedelta(days=2)


def reasons(library: Library, *models: str) -> dict[str, list[StalePartition]]:
    """The stale partitions and why, by step; steps without any are left out."""
    keys = models or ("tiny-a",)
    with library.engine.connect() as connection:
        lost = find_lost_files(connection, library.files, library.indexes, keys)
        work = find_stale_work(connection, ["photos"], keys, DAYS, lost)
        found = {
            step.name: explain_stale(connection, step, stale, lost) for step, stale in work.by_step().items()
        }
    return {step: explained for step, explained in found.items() if explained}


def cluster(library: Library) -> None:
    with library.engine.connect() as connection:
        version = events_version(connection, "tiny-a")
    with running_job(library.context(), JobKind.CLUSTER, "tiny-a", input_version=version):
        pass


@pytest.fixture
def built(any_library: Library) -> Library:
    any_library.build()
    cluster(any_library)
    assert reasons(any_library) == {}
    return any_library


def test_each_reason_names_the_step_before_and_counts_images(built: Library) -> None:
    draw_photo(built.root / "2024/06.jpg", 100)
    touch(built.root / "2024/06.jpg")
    built.scan()
    found = StalePartition("photos-00002", "source_files: 1 new or changed image", 1)
    assert reasons(built) == {"registered_images": [found]}

    built.register("photos-00002")
    subject = "tiny-a|photos-00002"
    found = StalePartition(subject, "registered_images: 1 image without an embedding", 1)
    assert reasons(built) == {"image_embeddings": [found]}

    built.embed("photos-00002")
    found = StalePartition("tiny-a", "image_embeddings: 1 image embedded in 1 shard", 1)
    assert reasons(built) == {"vector_index": [found]}

    built.index()
    found = StalePartition("tiny-a", "vector_index: 1 image embedded in 1 shard", 1)
    assert reasons(built) == {"image_events": [found]}
    cluster(built)
    assert reasons(built) == {}


def test_images_that_have_disappeared_are_a_reason(built: Library) -> None:
    (built.root / "2024/05.jpg").unlink()
    built.scan()
    gone = "images have disappeared, moved or come back"
    expected = StalePartition("photos-00002", f"source_files: {gone}", 0)
    assert reasons(built) == {"registered_images": [expected]}
    built.register("photos-00002")
    expected = StalePartition("tiny-a|photos-00002", f"registered_images: {gone}", 0)
    assert reasons(built) == {"image_embeddings": [expected]}
    built.embed("photos-00002")
    assert reasons(built) == {"vector_index": [StalePartition("tiny-a", f"image_embeddings: {gone}", 0)]}


def test_a_new_model_lacks_every_image(built: Library) -> None:
    found = reasons(built, "tiny-a", "tiny-b")["image_embeddings"]
    assert [(one.partition, one.images) for one in found] == [
        ("tiny-b|photos-00000", 10),
        ("tiny-b|photos-00001", 8),
        ("tiny-b|photos-00002", 8),
    ]
    built.embed_all("tiny-b")
    (index,) = reasons(built, "tiny-a", "tiny-b")["vector_index"]
    assert index == StalePartition("tiny-b", "image_embeddings: 26 images embedded in 3 shards", 26)


def test_maintenance_of_an_index_hides_no_change(built: Library) -> None:
    draw_photo(built.root / "2024/06.jpg", 100)
    touch(built.root / "2024/06.jpg")
    built.scan()
    built.register("photos-00002")
    built.embed("photos-00002")
    assert maintain_index(built.context(), built.indexes, "tiny-a") is not None
    (index,) = reasons(built)["vector_index"]
    assert index.images == 1


def test_lost_files_are_a_reason(built: Library) -> None:
    min((built.settings.home / built.embeddings.folder("tiny-a", "photos-00001")).iterdir()).unlink()
    lost = {"image_embeddings": [StalePartition("tiny-a|photos-00001", "files are lost")]}
    assert reasons(built) == lost
    with write_transaction(built.engine) as connection:
        make_due(connection, find_lost_files(connection, built.files, built.indexes, ["tiny-a"]))
    assert reasons(built) == lost


def test_results_of_a_retired_model_are_a_reason(built: Library) -> None:
    with write_transaction(built.engine) as connection:
        connection.execute(
            update(MlJob).where(MlJob.kind == JobKind.EMBED).values(input_version=f"{RETIRED}-now")
        )
    found = reasons(built)["image_embeddings"]
    assert {one.reason for one in found} == {"the model was retired, and its results were deleted"}
    assert len(found) == 3


def test_a_forgotten_source_is_a_reason(built: Library) -> None:
    with write_transaction(built.engine) as connection:
        connection.execute(
            update(MlJob).where(MlJob.kind == JobKind.EMBED).values(input_version=f"{FORGOTTEN}-copy")
        )
    found = reasons(built)["image_embeddings"]
    assert {one.reason for one in found} == {"a source that had these photos was forgotten"}


def test_only_what_was_embedded_since_the_clustering_counts(built: Library) -> None:
    draw_photo(built.root / "2024/06.jpg", 100)
    touch(built.root / "2024/06.jpg")
    built.scan()
    built.register("photos-00002")
    built.embed("photos-00002")
    for version in range(JOBS_KEPT + 1):  # so many that the index that was clustered is no longer recorded
        with running_job(built.context(), JobKind.INDEX, "tiny-a", input_version=str(version)):
            pass
    built.index()
    found = StalePartition("tiny-a", "vector_index: 1 image embedded in 1 shard", 1)
    assert reasons(built) == {"image_events": [found]}


def test_an_old_scan_is_a_reason(built: Library) -> None:
    with write_transaction(built.engine) as connection:
        connection.execute(update(Source).values(scanned_at=None))
    assert reasons(built) == {"source_files": [StalePartition("photos", "never scanned")]}
    with write_transaction(built.engine) as connection:
        connection.exec_driver_sql("UPDATE source SET scanned_at = '2020-01-02 03:04:05.000000'")
    assert reasons(built) == {"source_files": [StalePartition("photos", "last scanned 2020-01-02 03:04 UTC")]}


def outdated(library: Library) -> dict[str, list[StalePartition]]:
    """What `up_to_date` shows."""
    with library.engine.connect() as connection:
        lost = find_lost_files(connection, library.files, library.indexes, ["tiny-a"])
        found = find_outdated(connection, ["photos"], ["tiny-a"], lost)
    return {step.name: partitions for step, partitions in found.items() if partitions}


def test_an_index_is_outdated_while_another_shard_was_never_embedded(built: Library) -> None:
    for number in range(10):  # more than fit into the last shard
        draw_photo(built.root / f"2024/more-{number}.jpg", 100 + number)
    built.scan()
    built.register("photos-00002")
    built.register("photos-00003")
    assert outdated(built).keys() == {"image_embeddings"}  # nothing of the new shard is called stale

    built.embed("photos-00002")

    (index,) = outdated(built).pop("vector_index")
    assert outdated(built).keys() == {"vector_index"}
    assert index.partition == "tiny-a"
    assert index.reason.endswith("embedded in 1 shard")
    built.index()
    assert outdated(built).keys() == {"image_events"}
