"""The job `explain_photo`: its table, and what it says when it cannot answer."""

from typing import Any

from dagster import ExecuteInProcessResult, TableMetadataValue

from tests.lineage import Lineage, failure_of

DATED = "2024/05.jpg"


def explain(lineage: Lineage, **config: Any) -> ExecuteInProcessResult:
    return lineage.definitions.resolve_job_def("explain_photo").execute_in_process(
        instance=lineage.instance,
        run_config=config,
        raise_on_error=False,
    )


def table(run: ExecuteInProcessResult, name: str) -> dict[str, dict[str, Any]]:
    """The rows of the table with this name, by their stage."""
    assert run.success, failure_of(run)
    (output,) = [event for event in run.all_events if event.is_successful_output]
    value = output.step_output_data.metadata[name]
    assert isinstance(value, TableMetadataValue)
    return {str(record.data["stage"]): dict(record.data) for record in value.records}


def test_the_table_shows_each_stage_with_its_reason_and_remedy(lineage: Lineage) -> None:
    before = (lineage.rows(), lineage.files())
    rows = table(explain(lineage, photo=DATED), str(lineage.library.root / DATED))
    assert rows["registered"]["state"] == "yes"
    assert rows["embedded by tiny-b"] == {
        "stage": "embedded by tiny-b",
        "state": "not yet",
        "reason": "the partition tiny-b|photos-00002 of image_embeddings is due",
        "remedy": "Materialize the partition tiny-b|photos-00002 of image_embeddings, or run `photolineage run "
        "--model tiny-b`.",
    }
    assert (lineage.rows(), lineage.files()) == before


def test_with_a_query_it_has_the_rank(lineage: Lineage) -> None:
    image_id = lineage.library.images()[DATED].id
    rows = table(explain(lineage, photo=str(image_id), query="squares"), str(lineage.library.root / DATED))
    assert rows["search with tiny-a"]["state"].startswith("rank ")


def test_a_path_that_the_catalog_has_never_seen(lineage: Lineage) -> None:
    rows = table(explain(lineage, photo="/nowhere/\x1b[31ma\n.svg"), r"/nowhere/\x1b[31ma\n.svg")
    assert {stage: row["state"] for stage, row in rows.items()} == {
        "file": "not there",
        "source": "none",
        "format": "passed over",
    }


def test_what_it_cannot_explain_is_said(lineage: Lineage) -> None:
    assert "image 999 is not in the catalog" in failure_of(explain(lineage, photo="999"))
    assert "the text is empty" in failure_of(explain(lineage, photo="1", query=" "))


def test_without_a_catalog_the_first_step_is_named(new_lineage: Lineage) -> None:
    assert "has no tables yet. Materialize catalog_schema, or run `photolineage migrate`." in failure_of(
        explain(new_lineage, photo="1")
    )
