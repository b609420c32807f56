"""Runs the fixes of the contract as a person would: the first fix, then another comparison."""

from contextlib import closing

from sqlalchemy import Connection, MetaData

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Drift, DriftKind

_MORE_THAN_ANY_CASE_NEEDS = 12
_DROPPED = (DriftKind.EXTRA_TABLE, DriftKind.EXTRA_COLUMN)


def apply_fixes(metadata: MetaData, connection: Connection) -> list[Drift]:
    """Runs the fix of the first drift until no drift has a fix. Returns the drifts that are left.

    Objects that are missing from the metadata are dropped. For every other drift, the safe statements are preferred
    to the destructive ones.
    """
    drifts = compare(metadata, connection)
    for _ in range(_MORE_THAN_ANY_CASE_NEEDS):
        if not drifts:
            break
        fix = drifts[0].fix
        run(connection, fix.destructive if drifts[0].kind in _DROPPED else fix.safe or fix.destructive)
        drifts = compare(metadata, connection)
    return drifts


def run(connection: Connection, statements: tuple[str, ...]) -> None:
    """Runs statements unchanged: the driver does not interpret % and :."""
    with closing(connection.connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
