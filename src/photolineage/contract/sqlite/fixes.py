"""The SQL that fixes a drift of a SQLite database.

The statements of a rebuild begin and commit a transaction, so run them one by one, in autocommit.
"""

from collections.abc import Iterator
from functools import cached_property

from ..drift import NO_FIX, DriftKind, Finding, Fix
from ..enumerations import renamed_values
from ..loose import listed_values
from ..metadata import Code, constant_default, enum_of
from ..rendering import value_needed
from ..schema import Column, Constraint, ConstraintKind, Index, RelationKind, Schema, Table, TableKey
from .create_table import CreateTable
from .rebuild import Rebuild, StoredValues, in_database, literal, quote
from .tokens import TokenKind, fold, tokenize

_INDEXES = (DriftKind.INDEX_MISSING, DriftKind.INDEX_EXTRA, DriftKind.INDEX_CHANGED)
_REBUILDS = "These statements rebuild the table, which fixes its other drifts too."
_REFUSED = " SQLite refuses this and changes nothing while a row breaks a constraint of the expected table."
_NUMBERS = ("INTEGER", "NUMERIC")


class SqliteFixes:
    """The fixes of the differences between the expected and the live schema. `findings`: in the report's order."""

    def __init__(self, code: Code, expected: Schema, actual: Schema, findings: list[Finding]) -> None:
        self._code = code
        self._expected = expected
        self._actual = actual
        self._findings = findings

    def fix(self, finding: Finding) -> Fix:  # noqa: PLR0911 - one return a kind
        """How to fix the drift."""
        kind = finding.drift.kind
        if kind is DriftKind.EXTRA_TABLE:
            return self._extra_table(finding)
        if finding.key not in self._expected.tables:
            return NO_FIX
        if kind is DriftKind.MISSING_TABLE:
            return Fix(safe=tuple(self._create(finding.key)))
        if kind is DriftKind.RELATION_KIND:
            return self._of_relation(finding)
        if kind in _INDEXES:
            return self._of_index(finding)
        if kind is DriftKind.EXTRA_COLUMN and isinstance(finding.actual, Column):
            return self._extra_column(finding, finding.actual)
        if kind is DriftKind.MISSING_COLUMN and not self._is_rebuilt(finding.key):
            return self._add_column(finding)
        return self._by_rebuild(finding.key)

    @cached_property
    def _by_table(self) -> dict[TableKey, list[Finding]]:
        found: dict[TableKey, list[Finding]] = {}
        for finding in self._findings:
            found.setdefault(finding.key, []).append(finding)
        return found

    def _rebuilds(self, key: TableKey) -> list[Finding]:
        """The findings of a table that a rebuild fixes."""
        others = (*_INDEXES, DriftKind.EXTRA_COLUMN)
        return [finding for finding in self._by_table.get(key, []) if finding.drift.kind not in others]

    def _is_rebuilt(self, key: TableKey) -> bool:
        """Whether a drift of the table needs a rebuild. The rebuild then adds the missing columns too."""
        return any(
            finding.drift.kind is not DriftKind.MISSING_COLUMN or self._cannot_be_added(finding)
            for finding in self._rebuilds(key)
        )

    def _rebuild(
        self,
        key: TableKey,
        *,
        without: list[str] | None = None,
        unchanged: bool = True,
        nullable: str | None = None,
    ) -> Rebuild:
        """The rebuild of a table, without the extra columns `without`. `unchanged`: refuse to change a value."""
        expected, actual = self._expected.tables[key], self._actual.tables[key]
        missing = expected.columns.keys() - actual.columns.keys()
        last = without is not None
        extra = [
            name for name in actual.columns if name not in expected.columns and name not in (without or [])
        ]
        drifted = [finding for finding in self._by_table.get(key, []) if finding.drift.kind in _INDEXES]
        return Rebuild(
            expected=expected,
            actual=actual,
            live=self._actual,
            fills=dict(self._fills(key, missing)),
            extra=tuple(extra),
            converted=tuple(self._converted(key)) if unchanged else (),
            values=self._stored_values(key),
            nullable=nullable,
            repeatable=bool(missing) and (last or len(self._rebuilds(key)) > 1),
            dropped=self._dropped_indexes(key, without or [], drifted if last else []),
            added=[
                name
                for name, index in expected.indexes.items()
                if last or (name not in actual.indexes and missing & set(index.columns))
            ],
            gone=tuple(without or []),
        )

    def _dropped_indexes(self, key: TableKey, without: list[str], drifted: list[Finding]) -> frozenset[str]:
        live = self._actual.tables[key].indexes
        lost = {name for name, index in live.items() if set(without) & set(index.columns)}
        extra = {fold(found.actual.name) for found in drifted if isinstance(found.actual, Index)}
        return frozenset(lost | (extra - self._expected.tables[key].indexes.keys()))

    def _fills(self, key: TableKey, missing: set[str]) -> Iterator[tuple[str, str]]:
        for name in missing:
            own = self._code.column(key, name)
            constant = None if own is None else constant_default(own)
            if constant is not None:
                compiled = constant.compile(
                    dialect=self._code.dialect, compile_kwargs={"literal_binds": True}
                )
                yield name, str(compiled)

    def _by_rebuild(self, key: TableKey) -> Fix:
        rebuild = self._rebuild(key)
        if replaced := self._replaced(key):
            statements = self._rebuild(key, unchanged=False).statements()
            return Fix(destructive=statements, note=f"{_REBUILDS} Values of {replaced} are replaced.")
        refused = _REFUSED + "".join(
            f" {value_needed('SQLite', _place(key), quote(column.name), column.declared)}"
            for column in self._without_value(key, rebuild)
        )
        if not rebuild.converted:
            return Fix(safe=rebuild.statements(), note=_REBUILDS + refused)
        columns = ", ".join(rebuild.converted)
        return Fix(
            safe=rebuild.statements(),
            destructive=self._rebuild(key, unchanged=False).statements(),
            note=f"{_REBUILDS}{refused} The safe statements are also refused while the new type of {columns} would"
            " change a value. The destructive statements convert the values.",
        )

    def _without_value(self, key: TableKey, rebuild: Rebuild) -> list[Column]:
        """The missing columns that need a value in each row, and for which neither side has one."""
        expected, live = self._expected.tables[key], self._actual.tables[key].columns
        return [
            column
            for name, column in expected.columns.items()
            if name not in live and name not in rebuild.fills and column.needs_value
        ]

    def _replaced(self, key: TableKey) -> str:
        """The columns whose values a rebuild replaces: by computed values, or by other values of an enum."""
        live, wanted = self._actual.tables[key].columns, self._expected.tables[key].columns
        computed = {n for n in wanted.keys() & live.keys() if wanted[n].computed and not live[n].computed}
        return ", ".join(
            sorted(computed | {name for name, pairs in self._stored_values(key).items() if pairs})
        )

    def _converted(self, key: TableKey) -> Iterator[str]:
        """The columns that may change a value in the copy: by another affinity, or by numbers instead of NULL."""
        live, wanted = self._actual.tables[key].columns, self._expected.tables[key].columns
        values = self._stored_values(key)
        for name, column in wanted.items():
            actual = live.get(name)
            if actual is None or column.computed or values.get(name):
                continue
            same = actual.type == column.type or column.type in ("BLOB", "ANY")
            numbers = actual.type in _NUMBERS and column.type in _NUMBERS
            counts = column.autoincrement is not None and actual.autoincrement is None
            if counts or not (same or numbers):
                yield name

    def _stored_values(self, key: TableKey) -> StoredValues:
        """For an enum stored by member name or in another case: the stored values and their replacements."""
        found: StoredValues = {}
        for finding in self._by_table.get(key, []):
            expected, actual = finding.expected, finding.actual
            if finding.drift.kind is not DriftKind.ENUM_VALUES:
                continue
            if isinstance(expected, Constraint) and isinstance(actual, Constraint):
                name = expected.columns[0]
                column = self._code.column(key, name)
                enum = None if column is None else enum_of(column.type, self._code.dialect)
                wanted = self._code.enum_values(key, name) or ()
                found[name] = renamed_values(wanted, listed_values(actual.definition) or (), enum)
        return found

    def _extra_table(self, finding: Finding) -> Fix:
        drop: tuple[str, ...] = (f"DROP TABLE {_place(finding.key)}",)
        if any(self._references(table, finding.key) for table in self._actual.tables.values()):
            # With foreign_keys on, SQLite first deletes the rows, and with them those that reference them.
            drop = ("PRAGMA foreign_keys = OFF", *drop, "PRAGMA foreign_keys = ON")
        return Fix(destructive=drop, note="Dropping the table loses its rows.")

    @staticmethod
    def _references(table: Table, key: TableKey) -> bool:
        return table.key != key and any(
            constraint.target == key for constraint in table.constraints_of(ConstraintKind.FOREIGN_KEY)
        )

    def _of_relation(self, finding: Finding) -> Fix:
        actual, key = finding.actual, finding.key
        if not isinstance(actual, Table) or actual.kind is not RelationKind.VIEW:
            return NO_FIX
        statements = (f"DROP VIEW {_place(key)}", *self._create(key))
        return Fix(destructive=statements, note="Dropping the view loses its definition.")

    def _create(self, key: TableKey) -> Iterator[str]:
        table = self._expected.tables[key]
        name = str(own.name) if (own := self._code.table(key)) is not None else key[1]
        yield CreateTable.parsed(table.sql).written(_place((key[0], name)))
        for script in table.scripts.values():
            yield in_database(script, key[0] or "main")

    def _of_index(self, finding: Finding) -> Fix:
        expected, actual, key = finding.expected, finding.actual, finding.key
        database = key[0] or "main"
        drop = [f"DROP INDEX {quote(database)}.{quote(actual.name)}"] if isinstance(actual, Index) else []
        if not isinstance(expected, Index):
            return Fix(safe=tuple(drop))
        create = in_database(self._expected.tables[key].scripts[fold(expected.name)], database)
        renamed = isinstance(actual, Index) and fold(actual.name) != fold(expected.name)
        note = "SQLite refuses this while two rows have the same values." if expected.unique else ""
        if not drop or not (expected.unique or renamed):
            return Fix(safe=(*drop, create), note=note)
        # Without the new index, the last INSERT undoes the transaction, which brings the old index back.
        rules = quote(f"{expected.name}__rules")
        made = (
            f"INSERT OR ROLLBACK INTO temp.{rules} SELECT count(*) FROM {quote(database)}.sqlite_master"  # noqa: S608
            f" WHERE type = 'index' AND lower(name) = {literal(fold(expected.name))}"
            f" AND lower(tbl_name) = {literal(key[1])}"
        )
        table = f'CREATE TEMP TABLE {rules} (made CONSTRAINT "the index is made" CHECK (made))'
        return Fix(
            safe=(table, "BEGIN IMMEDIATE", *drop, create, made, "COMMIT", f"DROP TABLE temp.{rules}"),
            note=note,
        )

    def _extra_column(self, finding: Finding, actual: Column) -> Fix:
        key, name = finding.key, fold(actual.name)
        earlier = [
            fold(other.drift.name)
            for other in self._by_table[key][: self._by_table[key].index(finding)]
            if other.drift.kind is DriftKind.EXTRA_COLUMN
        ]
        in_place = self._can_be_dropped(key, name)
        if in_place:
            destructive = tuple(self._drop_column(key, actual))
        else:
            destructive = self._rebuild(key, without=[*earlier, name]).statements()
        required = not actual.nullable and actual.default is None and not actual.computed
        replaced = self._replaced(key)
        safe = self._rebuild(key, nullable=name).statements() if required and not replaced else ()
        note = "Dropping the column loses its values. You can keep the column if it is nullable."
        if replaced and not in_place:
            note += f" {_REBUILDS} Values of {replaced} are replaced."
        return Fix(safe=safe, destructive=destructive, note=note)

    def _can_be_dropped(self, key: TableKey, name: str) -> bool:
        """Whether ALTER TABLE DROP COLUMN drops it (https://www.sqlite.org/lang_altertable.html, section 5).

        It reads every view and trigger, and fails if one is broken.
        """
        table = self._actual.tables[key]
        schema = [t for t in self._actual.tables.values() if t.key[0] == key[0]]
        read = any(t.kind is RelationKind.VIEW or t.scripts.keys() - t.indexes.keys() for t in schema)
        used = any(name in constraint.columns for constraint in table.constraints)
        computed = any(_reads(c.computed or "", name) for c in table.columns.values() if fold(c.name) != name)
        referenced = any(c.target == key and name in c.target_columns for t in schema for c in t.constraints)
        return not (read or used or computed or referenced)

    def _drop_column(self, key: TableKey, actual: Column) -> Iterator[str]:
        table = self._actual.tables[key]
        database = quote(key[0] or "main")
        for name, index in table.indexes.items():
            if fold(actual.name) in index.columns and name not in self._expected.tables[key].indexes:
                yield f"DROP INDEX {database}.{quote(index.name)}"
        yield f"ALTER TABLE {_place(key)} DROP COLUMN {quote(actual.name)}"

    def _cannot_be_added(self, finding: Finding) -> bool:
        """Whether ALTER TABLE ADD COLUMN cannot add it (https://www.sqlite.org/lang_altertable.html, section 4)."""
        expected = finding.expected
        if not isinstance(expected, Column):
            return True
        name = fold(expected.name)
        constrained = any(name in c.columns for c in self._expected.tables[finding.key].constraints)
        constant = expected.default is None or expected.default[0] in "'+-.0123456789xX"
        stored = (expected.computed or "").endswith("STORED")
        return constrained or stored or expected.needs_value or not constant

    def _add_column(self, finding: Finding) -> Fix:
        key, name = finding.key, fold(finding.drift.name)
        expected, actual = self._expected.tables[key], self._actual.tables[key]
        definition = CreateTable.parsed(expected.sql).columns[name]
        missing = expected.columns.keys() - actual.columns.keys()
        created = [column for column in expected.columns if column in missing]
        indexes = [
            in_database(expected.scripts[index], key[0] or "main")
            for index, parsed in expected.indexes.items()
            if index not in actual.indexes
            and name in parsed.columns
            and name == max(missing & set(parsed.columns), key=created.index)
        ]
        return Fix(safe=(f"ALTER TABLE {_place(key)} ADD COLUMN {definition}", *indexes))


def _place(key: TableKey) -> str:
    return f"{quote(key[0])}.{quote(key[1])}" if key[0] else quote(key[1])


def _reads(expression: str, name: str) -> bool:
    words = (TokenKind.WORD, TokenKind.QUOTED)
    return any(token.kind in words and fold(token.text) == name for token in tokenize(expression))
