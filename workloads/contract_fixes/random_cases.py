"""Draws a table as the code declares it, the same table with drifts, and rows of hard values."""

import copy
from collections.abc import Callable
from random import Random
from typing import Any

from workloads.contract_fixes.tables import NUMBERS, STRINGS, TYPES, Case, Column

_TAB = "'a\tb'"
_COLUMNS = ("number", "title", "amount", "note", "payload")
VALUES: dict[str, tuple[str, ...]] = {
    "integer": ("0", "1", "-7", "2147483647"),
    "bigint": ("0", "9007199254740993", "-9223372036854775808", "9223372036854775807"),
    "smallint": ("0", "-32768", "7"),
    "float": ("0.1", "5.0", "0.30000000000000004", "1e300", "-0.0"),
    "numeric": ("1.50", "0.005", "123456789.123456789", "9007199254740993"),
    "text": ("''", "' '", "'a'", "'A'", "'a '", "'007'", "'1.50'", "'ünïcødé ☃'", _TAB, "'it''s -- 50% :x'"),
}
_LONG = {
    "sqlite": ("replace(hex(zeroblob(2000)), '0', 'x')", "'a' || char(0) || 'b'"),
    "postgresql": ("repeat('x', 3000)", "'abc' || repeat(' ', 20)", "'abcdefghij'"),
}


def drawn(random: Random, dialect: str) -> tuple[Case, Case]:
    """The expected case and the live one, which has one to three drifts."""
    expected = _expected(random, dialect)
    while True:
        live = copy.deepcopy(expected)
        for _ in range(random.randint(1, 3)):
            random.choice(_DRIFTS[dialect])(random, dialect, live)
        if live != expected:
            return (live, expected) if random.random() < 0.4 and not live.others else (expected, live)


def value(random: Random, dialect: str, type_: str) -> str:
    """A value as SQL, of the column's type, or on SQLite of any type."""
    if random.random() < 0.2:
        return "NULL"
    if dialect == "sqlite":
        kind = random.choice(("integer", "bigint", "float", "numeric", "text", "text"))
        choices = (*VALUES[kind], *(_LONG[dialect] if kind == "text" else ()), "x'00ff'", "1e999")
        return random.choice(choices)
    if type_ in STRINGS:
        return f"({random.choice((*VALUES['text'], *_LONG[dialect]))})"
    if type_ in ("float", "real"):
        number = random.choice((*VALUES["float"], "'NaN'", "'-Infinity'"))
        return f"({number})::float8"
    return {
        "bytea": r"'\x00ff'",
        "timestamp": "'2024-02-29 23:59:59.987654'",
        "timestamptz": "'2024-02-29 23:59:59.987654+05:30'",
        "timestamp_0": "'2024-02-29 23:59:59'",
        "boolean": random.choice(("true", "false")),
        "list": random.choice(("'{}'", "'{a,NULL,\"b c \"}'")),
        "numeric_8_2": random.choice(("1.50", "999999.99", "'NaN'")),
    }.get(type_) or random.choice(VALUES[type_])


def _expected(random: Random, dialect: str) -> Case:
    types = list(TYPES[dialect])
    columns = {
        "number": Column("integer"),
        "title": Column("text", nullable=random.random() < 0.7),
        "amount": Column(
            random.choice(NUMBERS if dialect == "postgresql" else ("float", "numeric", "bigint"))
        ),
        "note": Column(random.choice([t for t in types if t in STRINGS])),
        "payload": Column(random.choice(types)),
    }
    case = Case(columns, key=random.choice(("integer", "integer", "text")))
    if dialect == "sqlite":
        case.autoincrement = random.random() < 0.3
        case.without_rowid = case.key == "text" and random.random() < 0.5
    for _ in range(random.randint(0, 3)):
        random.choice(_DRIFTS[dialect][:8])(random, dialect, case)
    case.others = ()
    return case


def _retype(random: Random, dialect: str, case: Case) -> None:
    name = random.choice(("amount", "note", "payload", "number"))
    column = case.columns.get(name)
    if column is not None and column.computed is None:
        column.type, column.collation, column.default = random.choice(list(TYPES[dialect])), None, None
        if name == "number":
            column.type = random.choice(("integer", "bigint"))


def _require(random: Random, _dialect: str, case: Case) -> None:
    column = case.columns.get(random.choice(_COLUMNS))
    if column is not None and column.computed is None:
        column.nullable = not column.nullable


def _default(random: Random, _dialect: str, case: Case) -> None:
    column = case.columns.get("title")
    if column is not None and column.computed is None:
        column.default = random.choice((None, _TAB, "''", "'50% :x'"))


def _collate(random: Random, dialect: str, case: Case) -> None:
    column = case.columns.get("title")
    if column is not None:
        column.collation = random.choice(
            (None, "NOCASE", "RTRIM") if dialect == "sqlite" else (None, "C", "POSIX")
        )


def _unique(random: Random, dialect: str, case: Case) -> None:
    name, columns = random.choice((("uq_title", ("title",)), ("uq_pair", ("number", "title"))))
    if case.uniques.pop(name, None) is None and set(columns) <= case.columns.keys():
        conflict = random.choice((None, None, "REPLACE", "IGNORE")) if dialect == "sqlite" else None
        case.uniques[name] = (columns, conflict)


def _check(random: Random, _dialect: str, case: Case) -> None:
    name, check = random.choice((("ck_number", "number > 0"), ("ck_title", f"title <> {_TAB}")))
    needs = name.removeprefix("ck_")
    if case.checks.pop(name, None) is None and needs in case.columns:
        case.checks[name] = check


def _foreign_key(_random: Random, _dialect: str, case: Case) -> None:
    if case.foreign_keys.pop("fk_number", None) is None and "number" in case.columns:
        case.foreign_keys["fk_number"] = "number"


def _index(random: Random, _dialect: str, case: Case) -> None:
    name, columns = random.choice((("ix_title", ("title",)), ("ix_pair", ("number", "note"))))
    present = case.indexes.pop(name, None)
    if set(columns) <= case.columns.keys() and (present is None or random.random() < 0.5):
        case.indexes[name] = (columns, not present[1] if present else random.random() < 0.4)


def _lose_column(random: Random, _dialect: str, case: Case) -> None:
    name = random.choice(_COLUMNS)
    if len(case.columns) < 3 or (name == "number" and any(c.computed for c in case.columns.values())):
        return
    case.columns.pop(name, None)
    for parts in (case.uniques, case.indexes):
        for part in [part for part, (columns, _) in parts.items() if name in columns]:
            del parts[part]
    for check in (f"ck_{name}", f"ck_{name}_renamed"):
        case.checks.pop(check, None)
    if name == "number":
        case.foreign_keys.clear()


def _extra_column(random: Random, _dialect: str, case: Case) -> None:
    name = random.choice(("legacy", "old note"))
    default = random.choice((None, _TAB))
    case.columns[name] = Column("text", nullable=default is None, default=default)
    bare = name.replace(" ", "_")
    quoted = f'"{name}"'
    if random.random() < 0.4:
        case.checks[f"ck_{bare}"] = f"{quoted} <> 'never'"
    if random.random() < 0.3:
        case.uniques[f"uq_{bare}"] = ((name,), None)
    if random.random() < 0.3:
        case.indexes[f"ix_{bare}"] = ((name,), False)


def _extra_computed(random: Random, _dialect: str, case: Case) -> None:
    if "number" in case.columns and case.columns["number"].type in NUMBERS:
        case.columns["twice"] = Column("bigint", computed="number", persisted=random.random() < 0.5)


def _lose_computed(random: Random, _dialect: str, case: Case) -> None:
    if "number" in case.columns and "amount" in case.columns:
        computed = case.columns["amount"].computed
        case.columns["amount"] = Column(
            "bigint", computed=None if computed else "number", persisted=random.random() < 0.5
        )


def _rename(random: Random, _dialect: str, case: Case) -> None:
    for parts in (case.checks, case.uniques, case.foreign_keys, case.indexes):
        _rename_some(random, parts)


def _rename_some(random: Random, parts: dict[str, Any]) -> None:
    for name in list(parts):
        if random.random() < 0.7 and not name.endswith("_renamed"):
            parts[f"{name}_renamed"] = parts.pop(name)


def _option(_random: Random, dialect: str, case: Case) -> None:
    if dialect == "sqlite":
        case.autoincrement = not case.autoincrement


def _others(_random: Random, _dialect: str, case: Case) -> None:
    case.others = ("attic", "cellar")


_BOTH: tuple[Callable[[Random, str, Case], None], ...] = (
    _retype, _require, _default, _collate, _unique, _check, _foreign_key, _index,
    _retype, _lose_column, _extra_column, _extra_computed, _lose_computed, _rename, _others,
)  # fmt: skip
_DRIFTS = {"sqlite": (*_BOTH, _option), "postgresql": _BOTH}
