"""The fixes of a report as one script for the database's own shell."""

from collections.abc import Iterable, Iterator

from .drift import Drift

_STOP = {"sqlite": ".bail on", "postgresql": "\\set ON_ERROR_STOP on"}
_TRANSACTION = {"sqlite": ("", ""), "postgresql": ("BEGIN;", "COMMIT;")}
"""On SQLite each rebuild has its own transaction, because foreign keys can only be switched off outside one."""


def script(drifts: Iterable[Drift], dialect_name: str, *, destructive: bool = False) -> str:
    """The statements that fix the drifts, for `sqlite3` or `psql`. The shell stops at the first error.

    Statements that several drifts share, such as the rebuild of a table, are written once. Destructive statements are
    comments, unless `destructive` asks for them.
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
        for statements, wanted in ((fix.safe, True), (fix.destructive, destructive and not fix.safe)):
            if statements in written:
                continue
            if wanted:
                written.add(statements)
            elif statements:
                yield "-- Destructive, only if you mean it:"
            for statement in statements:
                yield _ended(statement) if wanted else _comment(_ended(statement))


def _ended(statement: str) -> str:
    """The statement with its semicolon, which a comment in the last line must not swallow."""
    return f"{statement}\n;" if "--" in statement.rpartition("\n")[2] else f"{statement};"


def _comment(text: str) -> str:
    return "\n".join(f"-- {line}".rstrip() for line in text.splitlines())
