"""The table of a failed check shows every drift, what differs, and its fix."""

from typing import Any

from photolineage.checks.catalog_contract import ContractReport
from photolineage.contract.dagster_checks import difference_table
from photolineage.contract.drift import Drift, DriftKind, Fix, Severity
from photolineage.contract.table import COLUMNS, difference_rows
from schema_checks.check_metadata import contract_result


def _drift(**changes: object) -> Drift:
    values: dict[str, object] = {
        "kind": DriftKind.MISSING_COLUMN,
        "table": "image",
        "name": "path",
        "columns": ("path",),
        "expected": "text",
        "actual": None,
        "severity": Severity.ERROR,
    }
    return Drift(**(values | changes))  # type: ignore[arg-type]


def test_a_row_shows_severity_kind_place_both_sides_and_fix() -> None:
    fix = Fix(safe=("ADD COLUMN path",), note="Old rows stay empty.")
    assert difference_rows([_drift(fix=fix)]) == [
        {
            "what": "error: missing column",
            "where": "image.path",
            "expected → found": "text → –",
            "fix": "ADD COLUMN path;\nOld rows stay empty.",
        }
    ]


def test_destructive_statements_come_last_and_are_marked() -> None:
    fix = Fix(safe=("ALTER a",), destructive=("DROP b",))
    (row,) = difference_rows([_drift(fix=fix)])
    assert row["fix"] == "ALTER a;\ndestructive, only if you mean it:\nDROP b;"


def test_statements_of_several_drifts_are_listed_once() -> None:
    fix = Fix(safe=("BEGIN", "COMMIT"))
    first, second = difference_rows([_drift(fix=fix), _drift(name="title", fix=fix)])
    assert first["fix"] == "BEGIN;\nCOMMIT;"
    assert second["fix"] == "The statements for image.path fix this too."


def test_texts_of_the_database_are_shown_as_they_are() -> None:
    hostile = "`x` || 'a | b' <script>"
    (row,) = difference_rows([_drift(expected=hostile, name="a|b")])
    assert (row["expected → found"], row["where"]) == (f"{hostile} → –", "image.a|b")


def test_a_table_is_named_once() -> None:
    (row,) = difference_rows([_drift(kind=DriftKind.MISSING_TABLE, name="image")])
    assert row["where"] == "image"


def test_a_table_without_drifts_still_has_its_columns() -> None:
    table = difference_table([])
    assert table.records == []
    assert tuple(column.name for column in table.schema.columns) == COLUMNS


def contract_metadata(report: ContractReport) -> dict[str, Any]:
    return dict(contract_result(report, "source_files", "catalog_contract").metadata)


def test_a_catalog_that_is_not_migrated_names_the_pending_revisions() -> None:
    metadata = contract_metadata(ContractReport((), None, "0004", "…", ("0001 (first)", "0002 (second)")))
    assert metadata["pending_revisions"].value == "0001 (first), 0002 (second)"
    assert metadata["revision_found"].value == "none"
    holds = contract_metadata(ContractReport((), "0004", "0004", "…"))
    assert "pending_revisions" not in holds
