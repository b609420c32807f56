"""The schema contract: the database has exactly the schema that the metadata declares.

The comparison creates the metadata's tables a second time: in memory on SQLite, in a scratch schema that is
rolled back on PostgreSQL. The same catalog queries read this copy and the live schema, and the two are compared
object by object. One server prints both sides, so equal types, defaults and conditions print the same text.
Nothing in the live schema runs or changes.

On PostgreSQL the role needs CREATE on the database; without it, the comparison raises an error that names the
privilege. A printed schema kept with the code would avoid this, but it would have to be updated by hand, and
another server version prints it differently.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, MetaData

from . import severity
from .columns import ColumnComparison
from .constraints import ConstraintComparison
from .drift import Drift, DriftKind, Finding, Severity
from .enumerations import in_the_words_of
from .errors import UnsupportedDatabaseError
from .metadata import Code, native_enums
from .order import in_order_of_application
from .postgresql import shadow as postgresql_shadow
from .postgresql.fixes import PostgresqlFixes
from .schema import EnumType, RelationKind, Schema, Sequence, Table, TableKey
from .sqlite import shadow as sqlite_shadow
from .sqlite.fixes import SqliteFixes
from .sqlite.tokens import fold

_TABLES = (RelationKind.TABLE, RelationKind.PARTITIONED_TABLE)
_EXTRA_TABLES = (*_TABLES, RelationKind.FOREIGN_TABLE)
_ALEMBIC_VERSION = "alembic_version"


def compare(metadata: MetaData, connection: Connection) -> list[Drift]:
    """Every difference between the metadata and the database, in the order in which to apply the fixes.

    Raises ContractError if the two cannot be compared; `photolineage.contract.errors` lists the reasons.
    """
    dialect = connection.dialect
    if dialect.name == "sqlite":
        code = Code(metadata, dialect, fold)
        live, shadow = sqlite_shadow.read_live_and_shadow(metadata, connection)
        findings = in_order_of_application(compare_schemas(shadow, live, code), live, indexes_last=True)
        fixes: SqliteFixes | PostgresqlFixes = SqliteFixes(code, shadow, live, findings)
    elif dialect.name == "postgresql":
        code = Code(metadata, dialect, str)
        enums = native_enums(metadata, dialect)
        live, shadow = postgresql_shadow.read_live_and_shadow(metadata, enums, connection)
        live = in_the_words_of(shadow, live, enums)
        findings = in_order_of_application(compare_schemas(shadow, live, code), live, indexes_last=False)
        fixes = PostgresqlFixes(code, enums, shadow, live)
    else:
        raise UnsupportedDatabaseError(
            f"Cannot compare the schema: the connection's dialect is {dialect.name!r}."
            " Connect to SQLite or PostgreSQL."
        )
    return [replace(finding.drift, fix=partial(fixes.fix, finding)) for finding in findings]


def compare_schemas(expected: Schema, actual: Schema, code: Code) -> list[Finding]:
    """Every difference: first types and sequences, then tables, then tables that only the database has."""
    return list(_Comparison(expected, actual, code).drifts())


class _Comparison:
    def __init__(self, expected: Schema, actual: Schema, code: Code) -> None:
        self._expected = expected
        self._actual = actual
        self._code = code
        named = {key[0] for key in expected.tables.keys() | expected.enums.keys()}
        self._schemas = named or {None}

    def drifts(self) -> Iterator[Finding]:
        yield from self._enums()
        yield from self._sequences()
        ordered = [*self._in_order_of_creation()]
        for key in ordered:
            if key not in self._actual.tables:
                yield self._table_drift(DriftKind.MISSING_TABLE, key, "table", None, Severity.ERROR)
        for key in ordered:
            if key in self._actual.tables:
                yield from self._table(self._expected.tables[key], self._actual.tables[key])
        yield from self._extra_tables()

    def _in_order_of_creation(self) -> Iterator[TableKey]:
        """A table comes after the tables that its foreign keys point to."""
        fold = self._code.fold
        sorted_keys = [(t.schema, fold(str(t.name))) for t in self._code.metadata.sorted_tables]
        yield from sorted_keys
        yield from (
            key for key in self._expected.tables if key not in sorted_keys and key[1] != _ALEMBIC_VERSION
        )

    def _table(self, expected: Table, actual: Table) -> Iterator[Finding]:
        if expected.kind is not actual.kind:
            yield self._table_drift(
                DriftKind.RELATION_KIND, expected.key, expected.kind, actual.kind, Severity.ERROR
            )
        if expected.kind not in _TABLES or actual.kind not in _TABLES:
            return
        yield from self._options(expected, actual)
        columns = ColumnComparison(expected, actual, self._expected, self._code)
        yield from columns.drifts()
        yield from ConstraintComparison(expected, actual, columns, self._actual, self._code).drifts()
        if expected.comment != actual.comment:
            yield self._table_drift(
                DriftKind.COMMENT, expected.key, expected.comment, actual.comment, Severity.WARNING
            )

    def _options(self, expected: Table, actual: Table) -> Iterator[Finding]:
        skipped = ("partition by", "access method") if expected.kind is not actual.kind else ()
        wanted, found = (
            {name: value for name, value in table.options.items() if name not in skipped}
            for table in (expected, actual)
        )
        if wanted == found:
            return
        names = [name for name in wanted | found if wanted.get(name) != found.get(name)]
        yield self._table_drift(
            DriftKind.TABLE_OPTION,
            expected.key,
            _options_text(wanted, names),
            _options_text(found, names),
            severity.of_table_options(wanted, found),
        )

    def _extra_tables(self) -> Iterator[Finding]:
        for key, table in self._actual.tables.items():
            known = key in self._expected.tables or key[1] == _ALEMBIC_VERSION or table.child
            if not known and key[0] in self._schemas and table.kind in _EXTRA_TABLES:
                yield self._table_drift(DriftKind.EXTRA_TABLE, key, None, table.kind, Severity.WARNING)

    def _enums(self) -> Iterator[Finding]:
        renamed = dict(self._enums_in_the_place_of_others())
        for wanted, found in renamed.items():
            live = self._actual.enums.get(found)
            yield self._enum_drift(DriftKind.ENUM_NAME, wanted, live, self._code.label(found), Severity.ERROR)
        for key, enum in self._expected.enums.items():
            live = self._actual.enums.get(renamed.get(key, key))
            if live is None:
                yield self._enum_drift(DriftKind.ENUM_MISSING, key, None, None, Severity.ERROR)
            elif live.values != enum.values:
                grave = severity.of_enum_values(enum.values, live.values)
                yield self._enum_drift(DriftKind.ENUM_VALUES, key, live, _text(live), grave)
        in_use = {c.enum for table in self._actual.tables.values() for c in table.columns.values()}
        for key, enum in self._actual.enums.items():
            if key not in self._expected.enums and key not in in_use and key[0] in self._schemas:
                yield _without_table(DriftKind.ENUM_EXTRA, key, None, enum, Severity.WARNING)

    def _enums_in_the_place_of_others(self) -> Iterator[tuple[TableKey, TableKey]]:
        """Pairs of enums: the expected one, and the unknown one that its columns have in the database."""
        for key, table in self._expected.tables.items():
            live = self._actual.tables.get(key)
            for name, column in table.columns.items():
                found = None if live is None or name not in live.columns else live.columns[name].enum
                if column.enum is None or found is None or found in self._expected.enums:
                    continue
                yield column.enum, found

    def _enum_drift(
        self, kind: DriftKind, key: TableKey, live: EnumType | None, actual: str | None, grave: Severity
    ) -> Finding:
        users = [
            (table.key, column.name)
            for table in self._expected.tables.values()
            for column in table.columns.values()
            if column.enum == key
        ]
        table = users[0][0] if users else None
        enum = self._expected.enums[key]
        drift = Drift(
            kind=kind,
            table="" if table is None else self._code.label(table),
            name=key[1],
            columns=tuple(name for user, name in users if user == table),
            expected=self._code.label(key) if kind is DriftKind.ENUM_NAME else _text(enum),
            actual=actual,
            severity=grave,
        )
        return Finding(drift, key, enum, live)

    def _sequences(self) -> Iterator[Finding]:
        for key, sequence in self._expected.sequences.items():
            live = self._actual.sequences.get(key)
            if sequence.owner is None and (live is None or _text(live) != _text(sequence)):
                grave = Severity.ERROR if live is None else Severity.WARNING
                yield _without_table(DriftKind.SEQUENCE, key, sequence, live, grave)
        defaults = [c.default for t in self._actual.tables.values() for c in t.columns.values() if c.default]
        for key, sequence in self._actual.sequences.items():
            in_use = sequence.owner is not None or any(_reads(default, sequence) for default in defaults)
            if key not in self._expected.sequences and not in_use and key[0] in self._schemas:
                yield _without_table(DriftKind.SEQUENCE, key, None, sequence, Severity.WARNING)

    def _table_drift(
        self, kind: DriftKind, key: TableKey, expected: str | None, actual: str | None, grave: Severity
    ) -> Finding:
        table = self._code.table(key)
        name = key[1] if table is None else str(table.name)
        drift = Drift(kind, self._code.label(key), name, (), expected, actual, grave)
        return Finding(drift, key, self._expected.tables.get(key), self._actual.tables.get(key))


def _options_text(options: Mapping[str, str], names: Iterable[str]) -> str:
    return "; ".join(f"{name}: {options.get(name, 'off')}" for name in names)


def _without_table(
    kind: DriftKind,
    key: TableKey,
    expected: EnumType | Sequence | None,
    actual: EnumType | Sequence | None,
    grave: Severity,
) -> Finding:
    drift = Drift(kind, "", key[1], (), _text(expected), _text(actual), grave)
    return Finding(drift, key, expected, actual)


def _text(subject: EnumType | Sequence | None) -> str | None:
    if isinstance(subject, EnumType):
        return ", ".join(subject.values)
    return None if subject is None else f"AS {subject.type} {subject.options}"


def _reads(default: str, sequence: Sequence) -> bool:
    return default.startswith("nextval(") and sequence.name in default
