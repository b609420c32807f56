"""The job `retire_model`: it lists by default, removes when asked to, and says why not."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from dagster import ExecuteInProcessResult

from tests.lineage import Lineage, failure_of, open_lineage


def retire(lineage: Lineage, **config: Any) -> ExecuteInProcessResult:
    return lineage.definitions.resolve_job_def("retire_model").execute_in_process(
        instance=lineage.instance,
        run_config=config,
        raise_on_error=False,
    )


def metadata(run: ExecuteInProcessResult) -> Mapping[str, Any]:
    (output,) = [event for event in run.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


@pytest.fixture
def without_b(lineage: Lineage) -> Iterator[Lineage]:
    """`tiny-b` has the embeddings of a shard and its index, and is not configured any more."""
    lineage.must_materialize("image_embeddings", "tiny-b|photos-00000")
    lineage.must_materialize("vector_index", "tiny-b")
    configuration = lineage.config_file.read_text()
    lineage.config_file.write_text(re.sub(r"\[models\.tiny-b\]\n.*\n", "", configuration))
    with open_lineage(lineage.config_file) as reopened:
        assert list(reopened.library.settings.models) == ["tiny-a"]
        yield reopened


def test_by_default_it_only_lists(without_b: Lineage) -> None:
    before = (without_b.rows(), without_b.files())
    run = retire(without_b, model="tiny-b")
    assert run.success
    found = metadata(run)
    assert (found["checkpoints"], found["events"]) == (3, 0)
    assert found["megabytes"] > 0
    assert (without_b.rows(), without_b.files()) == before


def test_with_delete_files_nothing_of_the_model_is_left(without_b: Lineage) -> None:
    of_a = {path: content for path, content in without_b.files().items() if "tiny-b" not in path}
    run = retire(without_b, model="tiny-b", delete_files=True)
    assert run.success
    assert metadata(run)["checkpoints"] == 3
    assert without_b.files() == of_a
    assert [row for row in without_b.rows() if 'INTO "ml_model"' in row and "tiny-b" in row] == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("tiny-a", "tiny-a is still configured: the next run would embed all images with it again."),
        (
            "no-such-model",
            "model 'no-such-model' has nothing to retire: no rows in the catalog and no files.",
        ),
    ],
)
def test_it_says_why_not(lineage: Lineage, model: str, reason: str) -> None:
    files = lineage.files()
    run = retire(lineage, model=model, delete_files=True)
    assert not run.success
    assert failure_of(run).startswith(reason)
    assert lineage.files() == files
