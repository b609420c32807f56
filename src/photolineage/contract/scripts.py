"""The fixes of a report as one script for the database's own shell."""

from collections.abc import Iterable, Iterator

from .drift import Drift

_STOP = {"sqlite": ".bail on", "postgresql": "\\set ON_ERROR_STOP on"}
_TRANSACTION = {"sqlite": ("", ""), "postgresql": ("BEGIN;", "COMMIT;")}
"""On SQLite each rebuild has its own transaction, because foreign keys can only be switched off outside one."""


def script(drifts: Iterable[Drift], dialect_name: str, *, destructive: bool = False) -> str:
    """The statements that fix the drifts, for `sqlite3` or `psql`. The shell stops at the first error.

    Statements that several drifts share, such as the rebuild of a table, are written once. Destructive statements are
    comments, unless `destructive` asks for them in the place of the safe ones.
    """
    begin, commit = _TRANSACTION[dialect_name]
    lines = [_STOP[dialect_name], begin, *_fixes(drifts, destructive), commit]
    return "".join(f"{line}\n" for line in lines if line)


def _fixes(drifts: Iterable[Drift], destructive: bool) -> Iterator[str]:
    written: set[tuple[str, ...]] = set()
    for drift in drifts:
        fix = drift.fix
        yield _comment(
            f"{drift.severity}: {drift.kind.replace('_', ' ')} {drift.table} {drift.name}. {fix.note}"
        )
        chosen = fix.destructive if destructive and fix.destructive else fix.safe
        if chosen not in written:
            written.add(chosen)
            yield from map(_ended, chosen)
        if fix.destructive and not destructive and fix.destructive not in written:
            written.add(fix.destructive)
            yield "-- Destructive, only if you mean it:"
            yield from (_comment(_ended(statement)) for statement in fix.destructive)


def _ended(statement: str) -> str:
    """The statement with its semicolon, which a comment in the last line must not swallow."""
    return f"{statement}\n;" if "--" in statement.rpartition("\n")[2] else f"{statement};"


def _comment(text: str) -> str:
    return "\n".join(f"-- {line}".rstrip() for line in text.splitlines())
