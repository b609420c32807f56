"""Drifts as plain text for a terminal or a test report."""

from collections.abc import Iterable

from .drift import Drift, Severity
from .table import COLUMNS, difference_rows

_MARGIN = " " * 4


def difference_text(drifts: Iterable[Drift]) -> str:
    """A line of three aligned columns for each drift, and below it the indented fix.

    Characters that a terminal would obey, such as ESC, are written as escapes.
    """
    what, where, sides, fix = COLUMNS
    rows = [
        {name: without_control_characters(text) for name, text in row.items()}
        for row in difference_rows(drifts)
    ]
    widths = {name: max((len(row[name]) for row in rows), default=0) for name in (what, where)}
    lines = []
    for row in rows:
        one_line = " ".join(row[sides].split())
        lines.append(f"{row[what]:{widths[what]}}  {row[where]:{widths[where]}}  {one_line}")
        lines += [f"{_MARGIN}{line}" for line in row[fix].split("\n") if line != "–"]
    return "\n".join(lines)


def summary(drifts: Iterable[Drift]) -> str:
    """How many drifts there are, in a sentence."""
    severities = [drift.severity for drift in drifts]
    if not severities:
        return "The database matches the code."
    differences = counted(len(severities), "difference")
    errors = counted(severities.count(Severity.ERROR), "error")
    return f"{differences} ({errors}) between the code and the database."


def counted(number: int, noun: str) -> str:
    """A number and what it counts, as in `1 error` and `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def without_control_characters(text: str) -> str:
    """The text with every character that a terminal would obey written as an escape; line breaks are kept."""
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode()
        for character in text
    )
