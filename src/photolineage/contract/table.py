"""Drifts as the rows of a table, for an asset check."""

from collections.abc import Iterable

from .drift import Drift, Fix

COLUMNS = ("what", "where", "expected → found", "fix")


def difference_rows(drifts: Iterable[Drift]) -> list[dict[str, str]]:
    """One row per drift, keyed by `COLUMNS`.

    The `fix` lists the safe statements first, one per line, then the destructive ones under a heading, then the
    note. Statements that several drifts share, such as the rebuild of a table, are listed once.
    """
    listed: dict[tuple[str, ...], str] = {}
    return [
        dict(
            zip(
                COLUMNS,
                (
                    f"{drift.severity}: {drift.kind.replace('_', ' ')}",
                    _where(drift),
                    f"{drift.expected or '–'} → {drift.actual or '–'}",
                    _fix(drift.fix, _where(drift), listed),
                ),
                strict=True,
            )
        )
        for drift in drifts
    ]


def _where(drift: Drift) -> str:
    return drift.name if drift.table in ("", drift.name) else f"{drift.table}.{drift.name}"


def _fix(fix: Fix, where: str, listed: dict[tuple[str, ...], str]) -> str:
    statements = fix.safe or fix.destructive
    if len(statements) > 1 and statements in listed:
        return f"The statements for {listed[statements]} fix this too."
    listed[statements] = where
    lines = [f"{statement};" for statement in fix.safe]
    if fix.destructive:
        lines += ["destructive, only if you mean it:", *(f"{statement};" for statement in fix.destructive)]
    if fix.note:
        lines.append(fix.note)
    return "\n".join(lines) or "–"
