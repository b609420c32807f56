"""`photolineage run` that is killed, interrupted, met by another run, or fails at some shards."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRunStatus

from photolineage.catalog.leases import acquire_lease
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from tests.command_line import PHOTOLINEAGE, as_json, embedded_images, environment, failure, photolineage
from tests.library import draw_photo
from tests.lineage import Lineage, open_lineage, write_configuration


def start_run(config_file: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PHOTOLINEAGE, "run", *options],
        env=environment(config_file),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def slow_lineage(tmp_path: Path, tiny_models: Mapping[str, Path]) -> Any:
    """A new library of 400 photos in checkpoints of 4: its embedding can be met in the middle."""
    folder = tmp_path / "slow"
    for number in range(400):
        draw_photo(folder / f"photos/{number:03}.jpg", number)
    config = write_configuration(folder, tiny_models)
    config.write_text(config.read_text().replace("shard_capacity = 10", "shard_capacity = 400"))
    with open_lineage(config) as lineage:
        yield lineage


def wait_for_embeddings(lineage: Lineage, process: subprocess.Popen[str]) -> int:
    """The committed embeddings as soon as there are some, while the run goes on."""
    deadline = time.monotonic() + 300  # a loaded machine takes a minute for the imports alone
    while time.monotonic() < deadline:
        committed, _distinct = embedded_images(lineage)
        if committed:
            assert process.poll() is None
            return committed
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing was embedded within five minutes")


def test_a_shard_that_fails_holds_up_no_other(lineage: Lineage) -> None:
    taken = lineage.home / "embeddings/tiny-b/photos-00001"
    taken.parent.mkdir(parents=True)
    taken.touch()

    message = failure(lineage, "run", "--model", "tiny-b")

    assert "tiny-b|photos-00001" in message
    assert "cannot be read: Not a directory" in message
    assert lineage.materialized_partitions("image_embeddings") >= {
        "tiny-b|photos-00000",
        "tiny-b|photos-00002",
    }
    assert "tiny-b" not in lineage.materialized_partitions("vector_index")

    taken.unlink()
    assert as_json(lineage, "run", "--model", "tiny-b")["materialized"] == {
        "source_files": ["photos"],
        "image_embeddings": ["tiny-b|photos-00001"],
        "vector_index": ["tiny-b"],
        "image_events": ["tiny-b"],
    }


def test_what_changed_without_a_scan_seeing_it_holds_up_nothing(lineage: Lineage) -> None:
    """It is found when a lost preview is read again, and its shard is registered once more before a model sees it."""
    path, image = next(iter(sorted(lineage.library.images().items())))
    assert image.state == "registered"
    original = lineage.library.root / path
    before = original.stat()
    original.write_bytes(bytes(before.st_size))
    os.utime(original, ns=(before.st_atime_ns, before.st_mtime_ns))
    for preview in (lineage.home / lineage.library.previews.folder("photos-00000")).iterdir():
        preview.unlink()

    materialized = as_json(lineage, "run", "--model", "tiny-b")["materialized"]

    assert materialized["registered_images"] == ["photos-00000", "photos-00000"]
    assert "tiny-b|photos-00000" in materialized["image_embeddings"]
    assert materialized["vector_index"] == ["tiny-b"]
    assert lineage.library.images()[path].state == "failed"


def test_all_shards_that_fail_are_told(lineage: Lineage) -> None:
    for number in (0, 2):
        taken = lineage.home / f"embeddings/tiny-b/photos-0000{number}"
        taken.parent.mkdir(parents=True, exist_ok=True)
        taken.touch()
    message = failure(lineage, "run", "--model", "tiny-b")
    assert "2 partitions failed. The others succeeded." in message
    assert message.count("Not a directory") == 2


def test_a_run_that_is_killed_continues(slow_lineage: Lineage) -> None:
    killed = start_run(slow_lineage.config_file)
    wait_for_embeddings(slow_lineage, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept, distinct = embedded_images(slow_lineage)
    assert 0 < kept == distinct < 400

    continued = as_json(slow_lineage, "run")

    assert continued["materialized"]["image_embeddings"] == ["tiny-a|photos-00000"]
    assert "registered_images" not in continued["materialized"]
    assert embedded_images(slow_lineage) == (400, 400)
    with slow_lineage.library.engine.connect() as connection:
        jobs = connection.exec_driver_sql(
            "SELECT state, done FROM ml_job WHERE kind = 'embed' ORDER BY id"
        ).all()
    assert [tuple(job) for job in jobs] == [("interrupted", kept), ("succeeded", 400)]


def test_ctrl_c_ends_at_a_checkpoint_and_says_how_to_continue(slow_lineage: Lineage) -> None:
    run = start_run(slow_lineage.config_file)
    wait_for_embeddings(slow_lineage, run)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=300)

    assert run.returncode == 1
    kept, distinct = embedded_images(slow_lineage)
    assert 0 < kept == distinct < 400
    assert kept % 4 == 0
    message = " ".join(said.split())
    assert f"Interrupted: stopped at a checkpoint, {kept} of 400 images" in message
    assert "Run the same command again to continue." in message
    assert "Traceback" not in said

    assert photolineage(slow_lineage, "run").returncode == 0
    assert embedded_images(slow_lineage) == (400, 400)


def wait_for_message(process: subprocess.Popen[str], words: str) -> str:
    """The line on standard error that has these words, while the process goes on."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words!r}")


def test_of_two_runs_one_refuses_or_waits_until_the_other_has_ended_even_by_sigkill(
    slow_lineage: Lineage,
) -> None:
    first = start_run(slow_lineage.config_file)
    wait_for_embeddings(slow_lineage, first)
    first.send_signal(signal.SIGSTOP)  # so that it does not end before the others have started

    refused = start_run(slow_lineage.config_file, "--no-wait")
    assert refused.wait(timeout=300) == 75
    assert refused.stderr is not None
    assert re.search(
        rf"Error: another `photolineage run` \(process {first.pid} on .*, since .* UTC\) is working in "
        rf"{re.escape(str(slow_lineage.home))}\. Nothing was changed\.",
        refused.stderr.read(),
    )
    waiting = start_run(slow_lineage.config_file, "--wait")
    assert f"(process {first.pid} on " in wait_for_message(
        waiting, "Waiting, because another `photolineage run`"
    )
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert embedded_images(slow_lineage)[0] < 400

    _, said = waiting.communicate(timeout=300)

    assert waiting.returncode == 0, said
    assert embedded_images(slow_lineage) == (400, 400)
    assert slow_lineage.materialized_partitions("image_events") == {"tiny-a"}


def test_two_runs_that_start_at_once_both_succeed(new_lineage: Lineage) -> None:
    both = [start_run(new_lineage.config_file, "--wait") for _ in range(2)]
    said = [run.communicate(timeout=500) for run in both]
    assert [run.returncode for run in both] == [0, 0], said
    assert new_lineage.materialized_partitions("image_events") == {"tiny-a"}
    jobs = new_lineage.library.jobs(JobKind.EMBED)
    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 3


@pytest.mark.parametrize("end", [JobState.INTERRUPTED, JobState.SUCCEEDED])
def test_a_partition_that_a_run_of_the_ui_works_on_is_waited_for(lineage: Lineage, end: JobState) -> None:
    """The other partitions go on meanwhile. It is materialized here only if the other run did not."""
    partition = "tiny-b|photos-00000"
    lease = acquire_lease(
        lineage.library.engine, JobKind.EMBED, partition, run_id="of-the-ui", input_version="1",
        timeout=timedelta(minutes=5),
    )  # fmt: skip
    run = start_run(lineage.config_file, "--no-wait", "--model", "tiny-b")
    said = wait_for_message(run, "Waiting for")
    assert f"Waiting for image_embeddings {partition}: run of-the-ui (process {os.getpid()} on " in said
    others = {"tiny-b|photos-00001", "tiny-b|photos-00002"}
    assert lineage.materialized_partitions("image_embeddings") >= others

    lease.finish(end)

    assert run.communicate(timeout=300)[0]
    assert run.returncode == 0
    assert lineage.materialized_partitions("image_events") >= {"tiny-b"}
    assert len([job for job in lineage.library.jobs(JobKind.EMBED) if job.subject == partition]) == (
        2 if end == JobState.INTERRUPTED else 1
    )
    assert DagsterRunStatus.FAILURE not in {one.status for one in lineage.instance.get_runs()}
