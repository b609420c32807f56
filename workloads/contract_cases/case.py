"""A case: SQLAlchemy metadata, a database, and the drifts between them."""

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
    """SQLAlchemy metadata, and a database made from it.

    `edits`: (old, new) replacements in the DDL of the metadata, each exactly once, before it runs.
    `statements`: run afterwards, one by one. `found`: every drift; empty for a clean case.
    `fixed`: whether no drift is left after running the first fix of each drift.
    """

    name: str
    metadata: Callable[[], MetaData]
    statements: tuple[str, ...] = ()
    edits: tuple[tuple[str, str], ...] = ()
    found: tuple[Found, ...] = ()
    fixed: bool = True

    def build(self, connection: Connection) -> MetaData:
        """Makes the database through an open connection. Returns the metadata."""
        metadata = self.metadata()
        for statement in self._edited(_ddl(metadata, connection)):
            connection.exec_driver_sql(statement)
        for statement in self.statements:
            connection.exec_driver_sql(statement)
        return metadata

    def _edited(self, ddl: list[str]) -> list[str]:
        text = "\0".join(ddl)
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} occurs {text.count(old)} times in the DDL")
            text = text.replace(old, new)
        return [statement for statement in text.split("\0") if statement.strip()]


def _ddl(metadata: MetaData, connection: Connection) -> list[str]:
    """The statements that create the metadata's tables."""
    statements: list[str] = []

    def collect(ddl: Any, *_: Any, **__: Any) -> None:
        statements.append(str(ddl.compile(dialect=connection.dialect)).strip())

    metadata.create_all(create_mock_engine(make_url(connection.engine.url), collect), checkfirst=False)
    return statements
