"""Running the advice of the contract, as a person would: the first advice, then another look."""

from contextlib import closing

from sqlalchemy import Connection, MetaData

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Drift, DriftKind

_MORE_THAN_ANY_CASE_NEEDS = 12
_DROPPED = (DriftKind.EXTRA_TABLE, DriftKind.EXTRA_COLUMN)


def mend(metadata: MetaData, connection: Connection) -> list[Drift]:
    """Follows the advice of the first drift until none is left, and returns what is left.

    What the model does not know is dropped; of every other drift the safe statements come before the
    destructive ones.
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
    """Runs statements as they stand: past the driver's reading of % and :."""
    with closing(connection.connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
