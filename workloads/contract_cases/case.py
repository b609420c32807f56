"""What a case is, and how its database is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, MetaData, create_mock_engine
from sqlalchemy.engine import make_url

from photolineage.contract.drift import DriftKind

Found: TypeAlias = tuple[DriftKind, str, str]
"""The kind, the table and the name of a drift."""


@dataclass(frozen=True)
class Case:
    """A model, and a database made from it.

    `edits` replace text of the model's own DDL, each exactly once, before it is run; `statements` are run
    afterwards, one by one. `found` is every drift there is: none in a clean case. Where `mended`, running
    the first advice of each drift leaves none.
    """

    name: str
    model: Callable[[], MetaData]
    statements: tuple[str, ...] = ()
    edits: tuple[tuple[str, str], ...] = ()
    found: tuple[Found, ...] = ()
    mended: bool = True

    def build(self, connection: Connection) -> MetaData:
        """Makes the database, through an open connection, and returns the model."""
        metadata = self.model()
        for statement in self._edited(model_ddl(metadata, connection)):
            connection.exec_driver_sql(statement)
        for statement in self.statements:
            connection.exec_driver_sql(statement)
        return metadata

    def _edited(self, ddl: list[str]) -> list[str]:
        text = "\0".join(ddl)
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} occurs {text.count(old)} times in the model's DDL")
            text = text.replace(old, new)
        return [statement for statement in text.split("\0") if statement.strip()]


def model_ddl(metadata: MetaData, connection: Connection) -> list[str]:
    """The statements that create the model."""
    statements: list[str] = []

    def collect(ddl: Any, *_: Any, **__: Any) -> None:
        statements.append(str(ddl.compile(dialect=connection.dialect)).strip())

    metadata.create_all(create_mock_engine(make_url(connection.engine.url), collect), checkfirst=False)
    return statements
