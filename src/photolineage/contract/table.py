"""Drifts as the rows of a table, for an asset check."""

from collections.abc import Iterable

from .drift import Drift, Fix

COLUMNS = ("what", "where", "model → database", "fix")


def difference_rows(drifts: Iterable[Drift]) -> list[dict[str, str]]:
    """One row a drift, by the names of `COLUMNS`: few, as the page of a check is as wide as its table.

    Of a fix, the safe statements come first, each on a line; destructive ones follow and are called that.
    """
    return [
        dict(
            zip(
                COLUMNS,
                (
                    f"{drift.severity}: {drift.kind.replace('_', ' ')}",
                    _where(drift),
                    f"{drift.expected or '–'} → {drift.actual or '–'}",
                    _fix(drift.fix),
                ),
                strict=True,
            )
        )
        for drift in drifts
    ]


def _where(drift: Drift) -> str:
    return drift.name if drift.table in ("", drift.name) else f"{drift.table}.{drift.name}"


def _fix(fix: Fix) -> str:
    lines = [f"{statement};" for statement in fix.safe]
    if fix.destructive:
        lines += ["destructive, only if you mean it:", *(f"{statement};" for statement in fix.destructive)]
    if fix.note:
        lines.append(fix.note)
    return "\n".join(lines) or "–"
