"""What the contract reports: the kinds of drift between the code and a store, their severity and their fixes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeAlias, overload

from .schema import Column, Constraint, EnumType, Index, Sequence, Table, TableKey


class DriftKind(StrEnum):
    """What differs."""

    MISSING_TABLE = "missing_table"
    EXTRA_TABLE = "extra_table"
    RELATION_KIND = "relation_kind"
    SHADOWED = "shadowed"
    VIEW_CHANGED = "view_changed"
    TRIGGER_MISSING = "trigger_missing"
    TRIGGER_CHANGED = "trigger_changed"
    DEFINITION_REFUSED = "definition_refused"
    TABLE_OPTION = "table_option"
    MISSING_COLUMN = "missing_column"
    EXTRA_COLUMN = "extra_column"
    TYPE = "type"
    TYPE_ARGS = "type_args"
    DIMS = "dims"
    NULLABLE = "nullable"
    DEFAULT = "default"
    COMPUTED = "computed"
    IDENTITY = "identity"
    AUTOINCREMENT = "autoincrement"
    COLLATION = "collation"
    COMMENT = "comment"
    PK = "pk"
    UNIQUE_MISSING = "unique_missing"
    UNIQUE_EXTRA = "unique_extra"
    UNIQUE_CHANGED = "unique_changed"
    FK_MISSING = "fk_missing"
    FK_EXTRA = "fk_extra"
    FK_CHANGED = "fk_changed"
    CHECK_MISSING = "check_missing"
    CHECK_EXTRA = "check_extra"
    CHECK_CHANGED = "check_changed"
    INDEX_MISSING = "index_missing"
    INDEX_EXTRA = "index_extra"
    INDEX_CHANGED = "index_changed"
    ENUM_MISSING = "enum_missing"
    ENUM_EXTRA = "enum_extra"
    ENUM_NAME = "enum_name"
    ENUM_VALUES = "enum_values"
    SEQUENCE = "sequence"


class Severity(StrEnum):
    """`ERROR`: an ordinary insert, select or upsert from the code fails or stores a wrong value.

    `NOTE`: the database does not enforce the difference. Only reported if you ask for notes.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Fix:
    """How to fix a drift. Nothing runs these statements automatically.

    `safe`: SQL statements that lose and change no value, also if the program that runs them ignores errors. If the
    rows do not fit, the database refuses them and keeps the table as it is.
    `destructive`: SQL statements that lose or rewrite data. They are shown last, labelled as destructive.
    `note`: what to know before running them. Each of the three may be empty.
    """

    safe: tuple[str, ...] = ()
    destructive: tuple[str, ...] = ()
    note: str = ""


NO_FIX = Fix()
FixMaker: TypeAlias = Callable[[], Fix]


class _MadeWhenAskedFor:
    """A field that takes a fix, or a function that makes it. The function runs once, when the field is first read."""

    @overload
    def __get__(self, drift: None, owner: type) -> Self: ...
    @overload
    def __get__(self, drift: object, owner: type) -> Fix: ...
    def __get__(self, drift: object | None, owner: type) -> Self | Fix:
        if drift is None:
            return self
        values = vars(drift)
        if not isinstance(values["fix"], Fix):
            values["fix"] = values["fix"]()
        fix: Fix = values["fix"]
        return fix

    def __set__(self, drift: object, value: Fix | FixMaker) -> None:
        given = isinstance(value, Fix) or callable(value)
        vars(drift)["fix"] = value if given else NO_FIX


@dataclass(frozen=True)
class Drift:
    """One difference between the code and a store.

    `table`: the table's name as the code writes it, with the schema if the code gives one. Empty for a type or
    sequence that no table uses.
    `name`: the name of the column, constraint, index, type or sequence, or of the table.
    `columns`: the columns of `table` that the drift affects.
    `expected`: what the code declares. `actual`: what the store has. None on the side that lacks the object.
    `fix`: how to fix it. It is made when it is first read, because most drifts are only counted or listed.
    """

    kind: DriftKind
    table: str
    name: str
    columns: tuple[str, ...]
    expected: str | None
    actual: str | None
    severity: Severity
    fix: _MadeWhenAskedFor = _MadeWhenAskedFor()

    @property
    def identity(self) -> str:
        """What distinguishes this drift from all others, in one line. A baseline lists these lines.

        It is the same in every comparison, as long as neither the code nor the store changes.
        """
        where = self.name if self.table in ("", self.name) else f"{self.table}.{self.name}"
        text = f"{self.kind} {where}: {self.expected or '–'} → {self.actual or '–'}"
        return " ".join(text.split())


Object: TypeAlias = Table | Column | Constraint | Index | EnumType | Sequence


@dataclass(frozen=True)
class Finding:
    """A drift with the objects that differ.

    `key` names the table, type or sequence. `expected` comes from the metadata, `actual` from the database.
    """

    drift: Drift
    key: TableKey
    expected: Object | None
    actual: Object | None
