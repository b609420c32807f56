"""A column of the model, to be added to a table that holds rows already."""

from typing import Any

from sqlalchemy import Column, literal


def addable(column: Column[Any], constant: Any = None) -> Column[Any]:
    """A copy of the column alone: its keys, constraints and indexes are added after it."""
    generated = [part._copy() for part in (column.computed, column.identity) if part is not None]
    default = constant if constant is not None else column.server_default
    return Column(
        column.name,
        column.type,
        *generated,
        nullable=column.nullable,
        server_default=None if generated else getattr(default, "arg", default),
        comment=column.comment,
        primary_key=column.primary_key,
        autoincrement=column.autoincrement,
    )


def constant_default(column: Column[Any]) -> Any | None:
    """The one value that the model itself gives to new rows, where it leaves none to the database.

    None where there is no such value, where the column may be empty, or where it is computed for each row.
    """
    default = column.default
    if column.nullable or column.server_default is not None or default is None or not default.is_scalar:
        return None
    return literal(default.arg, column.type)  # type: ignore[attr-defined]
