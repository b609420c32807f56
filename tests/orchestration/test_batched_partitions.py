"""The sensor's runs of several partitions: which it puts into one run, and what happens when one of them fails."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from dagster import ExecuteInProcessResult, RunRequest

from assets.orchestration import stale_partitions
from photolineage.lineage import REGISTERED_IMAGES
from photolineage.steps.freshness import StaleSubject
from tests.dagster_internals import SensorExecutionData
from tests.library import draw_photo, touch
from tests.lineage import Lineage, open_lineage, write_configuration
from tests.orchestration.sensor_ticks import begin, partitions_of, tick


@pytest.fixture
def twelve_shards(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Iterator[Lineage]:
    """A scanned library of 48 photos in twelve shards of one source."""
    for number in range(48):
        draw_photo(tmp_path / f"photos/{number:03}.jpg", number)
    config = write_configuration(tmp_path, tiny_models)
    config.write_text(config.read_text().replace("shard_capacity = 10", "shard_capacity = 4"))
    with open_lineage(config) as lineage:
        lineage.must_materialize("catalog_schema")
        lineage.must_materialize("source_files", "photos")
        assert len(lineage.shards) == 12
        yield lineage


def of_asset(data: SensorExecutionData, asset: str = "registered_images") -> list[RunRequest]:
    """The runs of one asset that a tick asks for."""
    return [request for request in data.run_requests or [] if request.job_name == f"materialize_{asset}"]


def runs_of(lineage: Lineage, data: SensorExecutionData, asset: str = "registered_images") -> list[list[str]]:
    """The partitions of each run of one asset that a tick asks for."""
    return [partitions_of(lineage, request) for request in of_asset(data, asset)]


def execute(lineage: Lineage, request: RunRequest) -> ExecuteInProcessResult:
    """The run of a request."""
    asset = str(request.job_name).removeprefix("materialize_")
    return lineage.materialize(asset, request.partition_key, tags=request.tags)


def test_a_run_takes_several_shards_and_each_is_recorded(twelve_shards: Lineage) -> None:
    shards = twelve_shards.shards
    registration = tick(twelve_shards)
    assert runs_of(twelve_shards, registration) == [shards[:8], shards[8:]]
    for request in registration.run_requests or []:
        assert execute(twelve_shards, request).success
    assert twelve_shards.materialized_partitions("registered_images") == set(shards)

    embedding = tick(twelve_shards)

    pairs = [[f"tiny-{model}|{shard}" for shard in shards] for model in "ab"]
    assert runs_of(twelve_shards, embedding, "image_embeddings") == [
        part for of_model in pairs for part in (of_model[:8], of_model[8:])
    ]
    for request in embedding.run_requests or []:
        assert execute(twelve_shards, request).success
    assert twelve_shards.materialized_partitions("image_embeddings") == {*pairs[0], *pairs[1]}
    assert [request.partition_key for request in tick(twelve_shards).run_requests or []] == [
        "tiny-a",
        "tiny-b",
    ]


def test_a_run_has_no_gap_and_one_source(twelve_shards: Lineage) -> None:
    """Shards that are up to date, and shards of another source that were added in between, cut a run."""
    twelve_shards.library.register("photos-00002")
    photos = twelve_shards.shards
    shards = [*photos[:6], "holiday-00000", "holiday-00001", *photos[6:]]
    stale = [StaleSubject(shard, "1") for shard in sorted(shards) if shard != photos[2]]
    attempts = [stale_partitions._Attempt(REGISTERED_IMAGES, one, one.subject, 0) for one in stale]
    batches = stale_partitions._batches(attempts, shards, 4)
    assert [[attempt.stale.subject for attempt in batch] for batch in batches] == [
        ["holiday-00000", "holiday-00001"],
        photos[:2],
        photos[3:6],
        photos[6:10],
        photos[10:],
    ]
    assert runs_of(twelve_shards, tick(twelve_shards)) == [photos[:2], photos[3:11], photos[11:]]


def test_a_shard_that_fails_every_time_is_asked_for_alone_and_no_other_again(twelve_shards: Lineage) -> None:
    shards = twelve_shards.shards
    taken = twelve_shards.home / twelve_shards.library.previews.folder(shards[3])
    taken.parent.mkdir(parents=True, exist_ok=True)
    taken.touch()
    first, second = of_asset(tick(twelve_shards))
    failed = execute(twelve_shards, first)
    assert not failed.success
    assert twelve_shards.materialized_partitions("registered_images") == {*shards[:3], *shards[4:8]}
    assert runs_of(twelve_shards, tick(twelve_shards)) == [shards[8:]], "the failed shard waits for a scan"
    twelve_shards.must_materialize("source_files", "photos")

    again, others = of_asset(tick(twelve_shards))

    assert again.partition_key == shards[3]
    assert again.run_key == f"registered_images:{shards[3]}:1:after-{failed.run_id}"
    assert (others.run_key, others.tags) == (second.run_key, second.tags)


def test_after_each_failure_a_run_takes_half_as_many(twelve_shards: Lineage) -> None:
    """A shard that kills its process keeps the shards behind it from being processed in the same run."""
    for sizes in ([8, 4], [4, 4, 4], [2] * 6, [1] * 12):
        data = tick(twelve_shards, rescan_minutes=0)
        assert [len(keys) for keys in runs_of(twelve_shards, data)] == sizes
        for request in of_asset(data):
            twelve_shards.instance.report_run_failed(begin(twelve_shards, request))
        twelve_shards.must_materialize("source_files", "photos")


def test_what_changed_while_its_run_waited_is_up_to_date_after_it(twelve_shards: Lineage) -> None:
    first, _ = of_asset(tick(twelve_shards))
    touch(twelve_shards.library.root / "001.jpg")
    draw_photo(twelve_shards.library.root / "900.jpg", 900)
    twelve_shards.must_materialize("source_files", "photos")  # one shard changes, and one is added

    assert execute(twelve_shards, first).success

    assert runs_of(twelve_shards, tick(twelve_shards)) == [[*twelve_shards.shards[8:]]]
    assert len(twelve_shards.shards) == 13
