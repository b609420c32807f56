"""Progress as a run's log tells it."""

import logging
from types import SimpleNamespace

import pytest

from photolineage.steps.progress import Progress
from resources.progress import LoggedProgress, describe_progress, rate_metadata


@pytest.mark.parametrize(
    ("progress", "seconds", "text"),
    [
        (Progress(0, 5_000), 0.0, "0 of 5,000 images"),
        (Progress(1_500, 5_000, 3, 500), 50.0, "1,500 of 5,000 images (3 unreadable), 20.0/s, 0:02:55 left"),
        (Progress(500, 500, 0, 500), 9.0, "500 of 500 images"),
        (Progress(1_234, None), 10.0, "1,234 images, 123.4/s"),
        (Progress(10, 10), 2.0, "10 of 10 images, 5.0/s"),
    ],
)
def test_rate_and_time_left_are_of_this_run(progress: Progress, seconds: float, text: str) -> None:
    assert describe_progress(progress, seconds) == text


def test_a_run_that_finds_nothing_to_do_has_no_rate() -> None:
    assert {name: value.value for name, value in rate_metadata(30, 4.0).items()} == {"images_per_second": 7.5}
    assert rate_metadata(0, 4.0) == {}


def test_the_log_tells_where_it_continues_then_at_intervals_and_at_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("resources.progress.time.monotonic", lambda: now[0])
    context = SimpleNamespace(log=logging.getLogger("run"))
    with caplog.at_level(logging.INFO, "run"):
        log = LoggedProgress().track(context, "m|s-00000")  # type: ignore[arg-type]
        log(Progress(1_500, 5_000, 0, 1_500))
        for done in range(1_600, 5_001, 100):
            now[0] += 1
            log(Progress(done, 5_000, 0, 1_500))
    assert [record.getMessage() for record in caplog.records] == [
        "m|s-00000: continuing at 1,500 of 5,000 images",
        "m|s-00000: 2,500 of 5,000 images, 100.0/s, 0:00:25 left",
        "m|s-00000: 3,500 of 5,000 images, 100.0/s, 0:00:15 left",
        "m|s-00000: 4,500 of 5,000 images, 100.0/s, 0:00:05 left",
        "m|s-00000: 5,000 of 5,000 images, 100.0/s",
    ]
