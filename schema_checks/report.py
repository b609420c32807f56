"""Drifts as a Markdown table, for an asset check, a terminal or a log."""

import re
from collections.abc import Iterable

from schema_checks.drift import Drift, Fix

_HEADER = ("what", "where", "the model says", "the database says", "severity", "fix")
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")


def markdown_table(drifts: Iterable[Drift]) -> str:
    """One row a drift: what, where, the model says, the database says, severity, fix.

    Texts of the database are shown as code, so that nothing in them is taken for markup. The safe statements
    come first; destructive ones follow and are called that.
    """
    rows = [_HEADER, tuple("---" for _ in _HEADER), *(_row(drift) for drift in drifts)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(drift: Drift) -> tuple[str, ...]:
    return (
        _plain(drift.kind.replace("_", " ")),
        _code(_where(drift)),
        _code(drift.expected),
        _code(drift.actual),
        drift.severity,
        _fix(drift.fix),
    )


def _where(drift: Drift) -> str:
    return drift.name if drift.table in ("", drift.name) else f"{drift.table}.{drift.name}"


def _fix(fix: Fix) -> str:
    parts = [_code(f"{statement};") for statement in fix.safe]
    if fix.destructive:
        parts.append("**destructive, only if you mean it:**")
        parts += [_code(f"{statement};") for statement in fix.destructive]
    if fix.note:
        parts.append(_plain(fix.note))
    return "<br>".join(parts) or "–"


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _code(text: str | None) -> str:
    """A code span in a fence longer than any in the text; a bar is escaped, as it parts cells even there."""
    if not text:
        return "–"
    line = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{space}{line}{space}{fence}"
