"""The schedules: what each asks for, and that none asks before there is a catalog."""

import shutil
from datetime import UTC, datetime

import pytest
from dagster import RunRequest, build_schedule_context

from resources.home import catalog_resource
from tests.lineage import Lineage

AT = datetime(2026, 3, 1, 3, tzinfo=UTC)
JOBS = {
    "daily_contract_check": "check_contract",
    "hourly_freshness_check": "check_freshness",
    "nightly_index_maintenance": "maintain_indexes",
    "nightly_sweep": "sweep_files",
    "nightly_rescan": "materialize_source_files",
    "nightly_verification": "materialize_verified_originals",
}


def ask(lineage: Lineage, schedule: str) -> tuple[list[RunRequest], str | None]:
    """The runs that a tick asks for, and the reason where it asks for none."""
    settings = lineage.library.settings
    resources = {"settings": settings, "catalog": catalog_resource(settings)}
    definition = lineage.definitions.resolve_schedule_def(schedule)
    needed = {name: resources[name] for name in definition.required_resource_keys}
    with build_schedule_context(
        instance=lineage.instance,
        resources=needed,
        scheduled_execution_time=AT,
        repository_def=lineage.definitions.get_repository_def(),
    ) as context:
        tick = definition.evaluate_tick(context)
    return list(tick.run_requests or []), tick.skip_message


def test_each_schedule_has_its_job_and_those_that_read_the_disks_are_off(lineage: Lineage) -> None:
    schedules = {name: lineage.definitions.resolve_schedule_def(name) for name in JOBS}
    assert {name: schedule.job_name for name, schedule in schedules.items()} == JOBS
    off = [name for name, schedule in schedules.items() if schedule.default_status.value == "STOPPED"]
    assert off == ["nightly_rescan", "nightly_verification"]


@pytest.mark.parametrize("schedule", sorted(JOBS.keys() - {"nightly_rescan", "nightly_verification"}))
def test_a_schedule_asks_for_one_run_once_there_is_a_catalog(new_lineage: Lineage, schedule: str) -> None:
    requests, reason = ask(new_lineage, schedule)
    assert requests == []
    assert reason is not None
    assert "has no tables yet. Materialize catalog_schema, or run `photolineage migrate`." in reason
    new_lineage.must_materialize("catalog_schema")
    requests, _ = ask(new_lineage, schedule)
    assert len(requests) == 1


def test_the_rescan_asks_for_each_source_that_is_there(lineage: Lineage) -> None:
    requests, _ = ask(lineage, "nightly_rescan")
    assert [(run.partition_key, run.run_key) for run in requests] == [("photos", "photos:2026-03-01T03:00")]
    shutil.move(lineage.library.root, lineage.library.root.with_name("unplugged"))
    assert ask(lineage, "nightly_rescan") == (
        [],
        "No source is available: plug in its disk, or add a source to photolineage.toml.",
    )


def test_the_verification_asks_for_the_shards_that_were_not_verified_lately(lineage: Lineage) -> None:
    lineage.must_materialize("verified_originals", "photos-00001")
    requests, _ = ask(lineage, "nightly_verification")
    assert [(run.partition_key, run.run_key, run.tags["dagster/priority"]) for run in requests] == [
        ("photos-00000", "photos-00000:2026-03-01T03:00", "-1"),
        ("photos-00002", "photos-00002:2026-03-01T03:00", "-1"),
    ]
    shutil.move(lineage.library.root, lineage.library.root.with_name("unplugged"))
    assert ask(lineage, "nightly_verification") == (
        [],
        "Every shard of the sources that are there was verified lately.",
    )


def test_the_verification_waits_for_a_catalog(new_lineage: Lineage) -> None:
    requests, reason = ask(new_lineage, "nightly_verification")
    assert requests == []
    assert "has no tables yet. Materialize catalog_schema" in str(reason)
