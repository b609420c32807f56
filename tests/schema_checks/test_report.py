"""A report shows every drift, and nothing in it breaks out of its cell."""

from markdown_it import MarkdownIt

from schema_checks.drift import Drift, DriftKind, Fix, Severity
from schema_checks.report import markdown_table

_PARSER = MarkdownIt("commonmark").enable("table")


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


def _cells(markdown: str) -> list[str]:
    return [token.content for token in _PARSER.parse(markdown) if token.type == "inline"]


def test_a_row_says_what_where_both_sides_severity_and_fix() -> None:
    fix = Fix(safe=("ADD COLUMN path",), note="Old rows stay empty.")
    assert markdown_table([_drift(fix=fix)]).splitlines() == [
        "| what | where | the model says | the database says | severity | fix |",
        "| --- | --- | --- | --- | --- | --- |",
        "| missing column | `image.path` | `text` | – | error | `ADD COLUMN path;`<br>Old rows stay empty. |",
    ]


def test_destructive_statements_come_last_and_are_called_so() -> None:
    fix = Fix(safe=("ALTER a",), destructive=("DROP b",))
    cell = _cells(markdown_table([_drift(fix=fix)]))[-1]
    assert cell == "`ALTER a;`<br>**destructive, only if you mean it:**<br>`DROP b;`"


def test_bars_backticks_and_line_ends_stay_in_their_cell() -> None:
    hostile = "`x` || 'a\n| b' <script>"
    cells = _cells(markdown_table([_drift(expected=hostile, actual="| |", name="a|b")]))
    assert len(cells) == 12
    assert _PARSER.renderInline(cells[8]) == "<code>`x` || 'a | b' &lt;script&gt;</code>"
    assert _PARSER.renderInline(cells[9]) == "<code>| |</code>"
    assert _PARSER.renderInline(cells[7]) == "<code>image.a|b</code>"


def test_a_table_is_named_once() -> None:
    drift = _drift(kind=DriftKind.MISSING_TABLE, name="image")
    assert _cells(markdown_table([drift]))[7] == "`image`"
