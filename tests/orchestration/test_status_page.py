"""When the sensor `library_status_page` refreshes the page, and what it records."""

import pytest
from dagster import AssetKey, DagsterRunStatus, SensorEvaluationContext

from assets.library_status import AllChecks
from assets.orchestration import status_page
from resources.home import catalog_resource, storage_resource
from tests.dagster_internals import SensorExecutionData
from tests.lineage import Lineage, plain


def tick(lineage: Lineage, cursor: str | None = None) -> SensorExecutionData:
    settings = lineage.library.settings
    context = SensorEvaluationContext(
        instance_ref=lineage.instance.get_ref(),
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=cursor,
        repository_name=None,
        resources={
            "catalog": catalog_resource(settings),
            "storage": storage_resource(settings),
            "settings": settings,
            "all_checks": AllChecks(()),
        },
        definitions=lineage.definitions,
    )
    with context:
        return lineage.definitions.resolve_sensor_def("library_status_page").evaluate_tick(context)


def change_what_is_shown(lineage: Lineage) -> None:
    lineage.execute(
        "UPDATE ml_job SET state = 'failed', error = coalesce(error, '') || '!' "
        "WHERE kind = 'register' AND subject = 'photos-00001'"
    )


def refreshes(lineage: Lineage) -> bool:
    """Whether a tick refreshes the page. The event is recorded, as the daemon does."""
    change_what_is_shown(lineage)
    data = tick(lineage)
    for event in data.asset_events:
        lineage.instance.report_runless_asset_event(event)
    assert not data.run_requests
    return bool(data.asset_events)


def test_the_page_is_refreshed_when_the_last_run_has_ended(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refreshes(lineage)
    recorded = lineage.instance.get_latest_materialization_event(AssetKey("library_status"))
    assert recorded is not None
    assert recorded.asset_materialization is not None
    assert plain(recorded.asset_materialization.metadata)["images"] == 28
    assert not refreshes(lineage)

    lineage.must_materialize("source_files", "photos")
    going_on = lineage.instance.create_run_for_job(
        lineage.definitions.resolve_job_def("materialize_source_files"), status=DagsterRunStatus.STARTED
    )
    assert not refreshes(lineage)
    monkeypatch.setattr(status_page, "SECONDS_WHILE_RUNS_GO_ON", 0)
    assert refreshes(lineage)
    monkeypatch.undo()
    lineage.instance.report_run_canceled(going_on)
    assert refreshes(lineage)
    assert not refreshes(lineage)
    monkeypatch.setattr(status_page, "SECONDS_OTHERWISE", 0)
    assert refreshes(lineage)


def test_a_page_on_which_nothing_has_changed_is_not_recorded_again(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refreshes(lineage)
    lineage.must_materialize("source_files", "photos")

    unchanged = tick(lineage)
    assert not unchanged.asset_events
    assert unchanged.skip_message == "Nothing on the page has changed."
    assert tick(lineage, unchanged.cursor).skip_message == "The page is up to date."

    monkeypatch.setattr(status_page, "SECONDS_WITHOUT_CHANGE", 0)
    assert tick(lineage).asset_events


def test_nothing_is_shown_before_the_catalog_is_there(new_lineage: Lineage) -> None:
    data = tick(new_lineage)
    assert not data.asset_events
    assert "catalog_schema" in str(data.skip_message)
