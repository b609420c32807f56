"""The tags by which the deployment limits runs: every run that a limit is meant for has its tag, whatever starts it."""

from collections.abc import Iterable, Mapping

import pytest
from dagster import AssetCheckKey, AssetKey, DagsterRun, RunRequest

from assets.orchestration.dead_runs import process_tag
from assets.orchestration.partitions import SHARDS, dagster_key
from assets.orchestration.run_queue import (
    DEVICE_TAG,
    MODEL_TAG,
    SOURCE_TAG,
    LineageRunCoordinator,
    queue_tags,
    retry_tags,
    shown_tags,
)
from assets.orchestration.stale_partitions import VERSION_TAG, _Attempt, _batches, _request
from photolineage.lineage import (
    IMAGE_EMBEDDINGS,
    JOB_STEPS,
    REGISTERED_IMAGES,
    STEPS,
    VECTOR_INDEX,
    Step,
    partition_subject,
)
from photolineage.steps.freshness import StaleSubject
from tests.dagster_internals import (
    AssetKeyPartitionKey,
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    SubmitRunContext,
    auto_reexecution_should_retry_run,
    build_run_requests_with_backfill_policies,
    partition_loading_context,
)
from tests.lineage import Lineage

SHARDS_OF_PHOTOS = [f"photos-{number:05}" for number in range(8)]
IMPLICIT_JOB = "__ASSET_JOB"
CODE_LOCATION = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("photolineage"), "__repository__")
STARTED_BY = ("page", "job", "sensor", "backfill")


@pytest.fixture
def lineage(new_lineage: Lineage) -> Lineage:
    new_lineage.instance.add_dynamic_partitions(str(SHARDS.name), SHARDS_OF_PHOTOS)
    return new_lineage


def partition_keys(lineage: Lineage, step: Step) -> list[str]:
    """The keys of all partitions of a step, as Dagster has them."""
    partitions = lineage.definitions.resolve_asset_graph().get(AssetKey(step.name)).partitions_def
    if partitions is None:
        return []
    return list(partitions.get_partition_keys(dynamic_partitions_store=lineage.instance))


def backfill_runs(lineage: Lineage, step: Step, keys: Iterable[str]) -> list[DagsterRun]:
    """The runs into which Dagster cuts a backfill of these partitions."""
    graph = lineage.definitions.resolve_asset_graph()
    partitions = {AssetKeyPartitionKey(AssetKey(step.name), dagster_key(step, key)) for key in keys}
    with partition_loading_context(dynamic_partitions_store=lineage.instance):
        requests = build_run_requests_with_backfill_policies(
            partitions or {AssetKeyPartitionKey(AssetKey(step.name))}, graph, lineage.instance
        )
    assert requests
    return [run_of(lineage, request) for request in requests]


def run_of(lineage: Lineage, request: RunRequest) -> DagsterRun:
    """The run that Dagster's daemon makes of a request."""
    tags = dict(request.tags)
    if request.partition_key is not None:
        tags["dagster/partition"] = str(request.partition_key)
    selection = frozenset(request.asset_selection) if request.asset_selection else None
    job = lineage.definitions.resolve_job_def(request.job_name or IMPLICIT_JOB)
    return DagsterRun(
        job_name=job.name,
        tags=tags,
        asset_selection=selection,
        remote_job_origin=RemoteJobOrigin(CODE_LOCATION, job.name),
    )


def runs_started(lineage: Lineage, step: Step, started_by: str) -> list[DagsterRun]:
    """One run of a step, or the runs of a backfill of all its partitions."""
    keys = partition_keys(lineage, step)
    if started_by == "backfill":
        return backfill_runs(lineage, step, keys)
    key = keys[0] if keys else None
    if started_by == "sensor":
        return [run_of(lineage, request) for request in sensor_requests(step, keys)]
    key = dagster_key(step, key) if key else None
    if started_by == "job":
        return [run_of(lineage, RunRequest(job_name=step.job_name, partition_key=key))]
    return [run_of(lineage, RunRequest(asset_selection=[AssetKey(step.name)], partition_key=key))]


def sensor_requests(step: Step, keys: Iterable[str]) -> list[RunRequest]:
    """The requests that the sensor makes for these partitions, in runs of at most three shards."""
    attempts = [_Attempt(step, StaleSubject(key, "1"), f"run key of {key}", 0) for key in keys]
    return [_request(batch) for batch in _batches(attempts, SHARDS_OF_PHOTOS, 3)]


def step_starts() -> list[tuple[Step, str]]:
    """Every step with each thing that starts it; the sensor starts those that the catalog records jobs of."""
    return [
        (step, started_by)
        for step in STEPS
        for started_by in STARTED_BY
        if started_by != "sensor" or step.job is not None
    ]


@pytest.fixture
def tags_of_all_runs(lineage: Lineage) -> dict[tuple[str, str], list[Mapping[str, str]]]:
    return {
        (step.name, started_by): [queue_tags(run) for run in runs_started(lineage, step, started_by)]
        for step, started_by in step_starts()
    }


def test_what_computes_on_the_device_takes_its_turn_whatever_starts_it(
    tags_of_all_runs: Mapping[tuple[str, str], list[Mapping[str, str]]],
) -> None:
    on_device = {step.name for step in STEPS if step.on_device}
    assert on_device
    for (step, started_by), runs in tags_of_all_runs.items():
        assert runs, (step, started_by)
        assert {DEVICE_TAG in tags for tags in runs} == {step in on_device}, (step, started_by)


def test_what_writes_for_a_model_is_limited_by_it_and_what_reads_originals_by_their_source(
    tags_of_all_runs: Mapping[tuple[str, str], list[Mapping[str, str]]],
) -> None:
    jobs = {step.name: step for step in JOB_STEPS.values()}
    for (name, started_by), runs in tags_of_all_runs.items():
        needs_model = name in jobs and jobs[name].needs_model
        reads_originals = name in jobs and not jobs[name].needs_model
        assert {MODEL_TAG in tags for tags in runs} == {needs_model}, (name, started_by)
        assert {tags.get(SOURCE_TAG) for tags in runs} == {"photos" if reads_originals else None}


def test_a_run_of_a_backfill_never_mixes_models(lineage: Lineage) -> None:
    keys = partition_keys(lineage, IMAGE_EMBEDDINGS)
    runs = backfill_runs(lineage, IMAGE_EMBEDDINGS, keys)
    assert len(runs) < len(keys)  # several partitions a run
    for run in runs:
        first, last = (run.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        of_run = keys[keys.index(first) : keys.index(last) + 1]
        assert {IMAGE_EMBEDDINGS.subject(key).model for key in of_run} == {queue_tags(run)[MODEL_TAG]}


def test_the_limits_of_the_deployment_are_of_tags_that_runs_have(
    lineage: Lineage, tags_of_all_runs: Mapping[tuple[str, str], list[Mapping[str, str]]]
) -> None:
    queue = lineage.instance.get_concurrency_config().run_queue_config
    assert queue is not None
    limited = {limit["key"] for limit in queue.tag_concurrency_limits}
    carried = {key for runs in tags_of_all_runs.values() for tags in runs for key in tags}
    assert limited == carried == {MODEL_TAG, SOURCE_TAG, DEVICE_TAG}
    # One value for all sources would let the scan of one disk wait for that of another.
    shared = {limit["key"] for limit in queue.tag_concurrency_limits if "value" not in limit}
    assert shared == {DEVICE_TAG}


def test_a_run_is_tagged_before_it_waits(lineage: Lineage) -> None:
    coordinator = lineage.instance.run_coordinator
    assert isinstance(coordinator, LineageRunCoordinator)
    key = partition_subject("tiny-a", SHARDS_OF_PHOTOS[0])
    request = RunRequest(
        job_name=IMAGE_EMBEDDINGS.job_name, partition_key=key, tags={DEVICE_TAG: "the other GPU"}
    )
    run = lineage.instance.add_run(run_of(lineage, request))

    context = SubmitRunContext(run, workspace=None)  # type: ignore[arg-type] # the queue looks at the run alone
    queued = coordinator.submit_run(context)

    assert queued.status.value == "QUEUED"
    assert queued.tags[MODEL_TAG] == "tiny-a"
    assert queued.tags[DEVICE_TAG] == "the other GPU"  # what somebody has set stays


def test_a_run_of_checks_alone_waits_for_nothing(lineage: Lineage) -> None:
    check = frozenset({AssetCheckKey(AssetKey(VECTOR_INDEX.name), "index_coverage")})
    run = DagsterRun(job_name=IMPLICIT_JOB, asset_check_selection=check, tags={"dagster/partition": "tiny-a"})
    assert queue_tags(run) == {}
    assert queue_tags(DagsterRun(job_name="check_contract")) == {}


def test_the_deployment_says_nothing_to_others_and_keeps_no_tick_for_ever(new_lineage: Lineage) -> None:
    instance = new_lineage.instance
    assert instance.telemetry_enabled is False
    assert instance.run_retries_enabled
    assert instance.run_monitoring_enabled
    for kind in ("sensor", "schedule"):
        kept = instance.get_settings("retention")[kind]["purge_after_days"]
        assert all(0 < days <= 60 for days in kept.values())
        assert set(kept) == {"skipped", "success", "failure", "started"}


def test_a_run_of_a_range_names_its_partitions_in_the_list_of_runs(lineage: Lineage) -> None:
    named = [shown_tags(run) for run in backfill_runs(lineage, REGISTERED_IMAGES, SHARDS_OF_PHOTOS[:3])]
    assert named == [{"partitions": "photos-00000 … photos-00002"}]
    one = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "a"}
    assert shown_tags(DagsterRun(job_name=IMPLICIT_JOB, tags=one)) == {"partitions": "a"}
    assert shown_tags(DagsterRun(job_name=IMPLICIT_JOB, tags={"dagster/partition": "a"})) == {}


def test_a_run_of_checks_names_its_asset_in_the_list_of_runs() -> None:
    asset = AssetKey("vector_index")
    run = DagsterRun(
        job_name=IMPLICIT_JOB,
        tags={"dagster/partition": "tiny-a"},
        asset_selection=frozenset({asset}),
        asset_check_selection=frozenset({AssetCheckKey(asset, "index_recall")}),
    )
    assert shown_tags(run) == {"asset": "vector_index"}
    assert shown_tags(run._replace(asset_selection=frozenset(), tags={})) == {"asset": "vector_index"}
    assert shown_tags(run._replace(tags={})) == {}, "Dagster names it"


def test_the_list_of_runs_shows_no_other_tags_of_ours(
    tags_of_all_runs: Mapping[tuple[str, str], list[Mapping[str, str]]],
) -> None:
    keys = {key for runs in tags_of_all_runs.values() for tags in runs for key in tags} | process_tag(
        "run"
    ).keys()
    assert len(keys) == 4
    assert [key for key in keys if not key.startswith(("dagster/", ".dagster/"))] == []
    assert VERSION_TAG.startswith(".dagster/")


def test_a_run_that_is_re_executed_by_hand_may_be_retried_like_any_other(lineage: Lineage) -> None:
    instance = lineage.instance
    assert instance.run_retries_max_retries == 1

    def failed(parent: DagsterRun | None, tags: Mapping[str, str]) -> DagsterRun:
        run = DagsterRun(job_name=IMPLICIT_JOB, tags=tags)
        if parent is not None:
            root = parent.root_run_id or parent.run_id
            tags = {**tags, "dagster/parent_run_id": parent.run_id, "dagster/root_run_id": root}
            run = run._replace(tags=tags, parent_run_id=parent.run_id, root_run_id=root)
        instance.add_run(run)
        instance.add_run_tags(run.run_id, retry_tags(instance, run))
        instance.report_run_failed(run)
        return instance.get_run_by_id(run.run_id) or run

    def is_retried(run: DagsterRun) -> bool:
        return auto_reexecution_should_retry_run(instance, run, None)

    first = failed(None, {"dagster/max_retries": "0"})  # on the command line
    assert not is_retried(first)
    by_hand = failed(first, first.tags)
    assert is_retried(by_hand)
    retry = failed(by_hand, {**by_hand.tags, "dagster/retry_number": "2"})
    assert not is_retried(retry)
    again = failed(retry, {key: value for key, value in retry.tags.items() if key != "dagster/retry_number"})
    assert is_retried(again)
