"""Rebuilds a SQLite table as the metadata declares it, for changes that SQLite cannot make in place."""
# ruff: noqa: S608 - every name is quoted and every string is a literal

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.dialects import sqlite

from ..schema import Column, Constraint, ConstraintKind, Schema, Table, TableKey
from .create_table import CreateTable, without_constraint

StoredValues = dict[str, list[tuple[str, str]]]
"""By column, (stored, replacement) pairs of strings."""

_ROW_IDS = ("rowid", "oid", "_rowid_")
_SCRIPT = re.compile(r"(CREATE (?:UNIQUE )?(?:INDEX|TRIGGER) )(.*)", re.IGNORECASE | re.DOTALL)
_FAIL = "abs(-9223372036854775807 - 1)"
quote = sqlite.dialect().identifier_preparer.quote


@dataclass(frozen=True)
class Rebuild:
    """Creates the new table, copies the rows, and puts it in the place of the old one.

    `fills`: for the columns that the live table lacks, the SQL of the value that old rows get; the default fills a
    column without one. `extra`: the live columns that are kept although the metadata does not have them. `gone`: the
    columns that the table may have lost since the comparison, by the fix of an earlier drift. `converted`: the columns
    whose values must not change. `values`: the stored strings to replace. `nullable`: an extra column that becomes
    nullable. `repeatable`: earlier fixes of the same report may have added the columns already. `dropped`: indexes
    that the new table does not get. `added`: those of the metadata that it does.

    The statements are safe in a program that goes on after an error. SQLite looks for a name without its database
    among the temporary tables first. There stand-ins have the names of the table and of the old table, so that
    `ALTER TABLE t RENAME TO t__old` and `DROP TABLE t__old` reach them. Only with a proof do they give way. The first
    then takes the name of the new table, so that `DROP TABLE t__new` reaches it, otherwise the new table. SQLite
    refuses to rename a temporary table as long as a temporary view is broken, and the gates are views that read the
    proof. The proof is a table that is made only if a transaction is open and every rule holds: every row is copied,
    no value is changed, nothing is forgotten. Inside a transaction SQLite ignores `PRAGMA foreign_keys = ON`; outside
    it takes effect and breaks a rule.

    With `legacy_alter_table` the foreign keys of other tables still reference the table's name. With `foreign_keys`
    off, dropping the old table deletes no other rows (https://www.sqlite.org/lang_altertable.html, section 7).
    """

    expected: Table
    actual: Table
    live: Schema
    fills: Mapping[str, str]
    extra: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    values: StoredValues = field(default_factory=dict)
    nullable: str | None = None
    repeatable: bool = False
    dropped: Collection[str] = ()
    added: Collection[str] = ()
    gone: Collection[str] = ()

    def statements(self) -> tuple[str, ...]:
        """The statements, to run one by one in autocommit."""
        numbered = [self._keep_last_number()] if self._both_count() else []
        return (
            "PRAGMA foreign_keys = OFF",
            "BEGIN IMMEDIATE",
            "PRAGMA foreign_keys = ON",
            *self._stand_in("", "gate"),
            *self._stand_in("old", "second_gate", also=f", {self._at('new')}"),
            self._create(),
            self._copy(),
            *(statement for pair in numbered for statement in pair),
            *self._prove(),
            "PRAGMA legacy_alter_table = OFF",
            f"ALTER TABLE temp.{self._name()} RENAME TO {self._name('new')}",
            f"DROP VIEW temp.{self._name('gate')}",
            f"DROP TABLE IF EXISTS {self._name('new')}",
            f"ALTER TABLE temp.{self._name('old')} RENAME TO {self._name('away')}",
            f"DROP VIEW temp.{self._name('second_gate')}",
            "PRAGMA legacy_alter_table = ON",
            f"ALTER TABLE {self._name()} RENAME TO {self._name('old')}",
            f"ALTER TABLE {self._at('new')} RENAME TO {self._name()}",
            f"DROP TABLE {self._name('old')}",
            *(
                f"DROP TABLE IF EXISTS temp.{self._name(part)}"
                for part in ("", "new", "away", "rules", "proof")
            ),
            *self._scripts(),
            "COMMIT",
            "PRAGMA legacy_alter_table = OFF",
            "PRAGMA foreign_keys = ON",
        )

    def _stand_in(self, part: str, gate: str, also: str = "") -> tuple[str, str]:
        """A stand-in, and a view that is broken as long as there is no proof, so that the stand-in stays."""
        read = f"temp.{self._name(part)}, temp.{self._name('proof')}{also}"
        return (
            f"CREATE TEMP TABLE {self._name(part)} (stand_in)",
            f"CREATE TEMP VIEW {self._name(gate)} AS SELECT stand_in, complete FROM {read}",
        )

    @property
    def _database(self) -> str:
        return self.actual.key[0] or "main"

    def _name(self, part: str = "") -> str:
        return quote(self._bare(part))

    def _bare(self, part: str = "") -> str:
        name = CreateTable.parsed(self.expected.sql).name
        if not part:
            return name
        digest = hashlib.sha256(self.actual.sql.encode()).hexdigest()[:8]
        return f"{name}__{part}_{digest}"

    def _at(self, part: str = "") -> str:
        return f"{quote(self._database)}.{self._name(part)}"

    def _create(self) -> str:
        wanted, found = CreateTable.parsed(self.expected.sql), CreateTable.parsed(self.actual.sql)
        columns = dict(wanted.columns)
        for name in self.extra:
            columns[name] = without_constraint(found.columns[name], "primary", "key")
            if name == self.nullable:
                columns[name] = without_constraint(columns[name], "not", "null")
        lost = self.actual.columns.keys() - columns.keys()
        kept = [text for text in found.constraints_on(self.extra) if text not in found.constraints_on(lost)]
        return CreateTable(wanted.name, columns, (*wanted.constraints, *kept), wanted.options).written(
            self._at("new")
        )

    def _copy(self) -> str:
        targets, sources = [], []
        row_id = self._kept_row_id()
        if row_id is not None:
            targets.append(row_id)
            sources.append(f"live.{row_id}")
        filled = []
        for name, column in self._stored_columns().items():
            source = self._source(name)
            if source is None and self.repeatable:
                value = self.fills.get(name) or f"({column.default or 'NULL'})"
                filled.append(f"{value} AS {_bracketed(column.name)}")
                source = self._if_there(column.name)
            if source is not None:
                targets.append(quote(column.name))
                sources.append(source)
        beside = f" CROSS JOIN (SELECT {', '.join(filled)}) AS filled" if filled else ""
        return (
            f"INSERT OR ABORT INTO {self._at('new')} ({', '.join(targets)})"
            f" SELECT {', '.join(sources)} FROM {self._at()} AS live{beside}"
        )

    def _stored_columns(self) -> dict[str, Column]:
        kept = {name: self.actual.columns[name] for name in self.extra}
        return {n: c for n, c in {**self.expected.columns, **kept}.items() if not c.computed}

    def _source(self, name: str) -> str | None:
        live = self.actual.columns.get(name)
        if live is None:
            return None if self.repeatable else self.fills.get(name)
        quoted = f"live.{quote(live.name)}"
        cases = " ".join(f"WHEN {literal(old)} THEN {literal(new)}" for old, new in self.values.get(name, []))
        return f"CASE {quoted} {cases} ELSE {quoted} END" if cases else quoted

    def _if_there(self, name: str) -> str:
        """The column of the row if an earlier fix added it; otherwise SQLite finds the name in `filled`."""
        same = self._row_id(self.actual)
        key = self.actual.primary_key
        names = [same] if same is not None else [quote(part) for part in (key.columns if key else ())]
        row = " AND ".join(f"same.{part} = live.{part}" for part in names)
        return f"(SELECT {_bracketed(name)} FROM {self._at()} AS same WHERE {row})"

    def _kept_row_id(self) -> str | None:
        """The row id, if no column of either table is an alias of it."""
        numbered = any(c.autoincrement for t in (self.expected, self.actual) for c in t.columns.values())
        ours, theirs = self._row_id(self.expected), self._row_id(self.actual)
        return (
            None
            if numbered or ours is None
            else theirs
            and next(
                (name for name in _ROW_IDS if name not in {*self.expected.columns, *self.actual.columns}),
                None,
            )
        )

    @staticmethod
    def _row_id(table: Table) -> str | None:
        if "WITHOUT ROWID" in table.options:
            return None
        return next((name for name in _ROW_IDS if name not in table.columns), None)

    def _both_count(self) -> bool:
        return all(
            "AUTOINCREMENT" in {column.autoincrement for column in table.columns.values()}
            for table in (self.expected, self.actual)
        )

    def _keep_last_number(self) -> tuple[str, str]:
        """Keeps the last number, so that a new row does not get the number of a deleted row."""
        sequence = f"{quote(self._database)}.sqlite_sequence"
        new, old = literal(self._bare("new")), literal(self._bare())
        return (
            f"DELETE FROM {sequence} WHERE name = {new}",
            f"INSERT INTO {sequence} (name, seq) SELECT {new}, seq FROM {sequence} WHERE lower(name) = lower({old})",
        )

    def _prove(self) -> tuple[str, ...]:
        rules = self._rules()
        checks = ", ".join(
            f"rule_{place} CONSTRAINT {_quoted(sentence)} CHECK (rule_{place})"
            for place, sentence in enumerate(rules)
        )
        complete = f"CASE count(*) WHEN 1 THEN 1 ELSE {_FAIL} END AS complete"
        return (
            f"CREATE TEMP TABLE {self._name('rules')} ({checks})",
            f"INSERT INTO temp.{self._name('rules')} SELECT {', '.join(rules.values())}",
            f"CREATE TEMP TABLE {self._name('proof')} AS SELECT {complete} FROM temp.{self._name('rules')}",
        )

    def _rules(self) -> dict[str, str]:
        old, new = self._at(), self._at("new")
        rules = {
            "a transaction is open and foreign keys are off": "(SELECT foreign_keys FROM pragma_foreign_keys) = 0",
            "every row is copied": f"(SELECT count(*) FROM {old}) = (SELECT count(*) FROM {new})",
            "no column, index or trigger is forgotten": self._nothing_is_forgotten(),
        }
        if self.actual.key[0] is not None:
            # SQLite looks for a name without its database in every database.
            named = (
                f"SELECT count(*) FROM pragma_table_list WHERE lower(name) = lower({literal(self._bare())})"
            )
            rules["no other database has a table of this name"] = f"({named} AND schema <> 'temp') = 1"
        if self.converted:
            columns = ", ".join(
                f"{quote(self.actual.columns[name].name)} COLLATE BINARY" for name in self.converted
            )
            rules["no value changes"] = (
                f"NOT EXISTS (SELECT {columns} FROM {old} EXCEPT SELECT {columns} FROM {new})"
            )
        parents = sorted({literal(parent) for parent in self._new_parents()})
        if parents:
            rules["every new reference finds its row"] = (
                f"NOT EXISTS (SELECT 1 FROM pragma_foreign_key_check({literal(self._bare('new'))},"
                f" {literal(self._database)}) WHERE lower(parent) IN ({', '.join(parents)}))"
            )
        return rules

    def _nothing_is_forgotten(self) -> str:
        known = {*self.expected.columns, *self.extra} if self.repeatable else {*self._copied_columns()}
        known |= set(list(self.gone)[-1:])
        columns = ", ".join(sorted(map(literal, known)))
        table, database = literal(self._bare()), quote(self._database)
        scripts = ", ".join(sorted(map(literal, {*self._kept_scripts(), *self.dropped}))) or "''"
        return (
            f"NOT EXISTS (SELECT 1 FROM pragma_table_xinfo({table}, {literal(self._database)})"
            f" WHERE lower(name) NOT IN ({columns}))"
            f" AND NOT EXISTS (SELECT 1 FROM {database}.sqlite_master WHERE lower(tbl_name) = lower({table})"
            f" AND type IN ('index', 'trigger') AND sql IS NOT NULL AND lower(name) NOT IN ({scripts}))"
        )

    def _copied_columns(self) -> Iterable[str]:
        return (name for name in self.actual.columns if name in self.expected.columns or name in self.extra)

    def _new_parents(self) -> Iterable[str]:
        """The tables that a new foreign key references by a key that they already have."""
        present = {c.definition for c in self.actual.constraints_of(ConstraintKind.FOREIGN_KEY)}
        for constraint in self.expected.constraints_of(ConstraintKind.FOREIGN_KEY):
            if (
                constraint.definition not in present
                and constraint.target is not None
                and self._has_key(constraint)
            ):
                yield constraint.target[1]

    def _has_key(self, foreign_key: Constraint) -> bool:
        target: TableKey | None = foreign_key.target
        parent = self.expected if target == self.expected.key else self.live.tables.get(target or (None, ""))
        if parent is None:
            return False
        keys = [
            c.columns
            for c in parent.constraints
            if c.kind in (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)
        ]
        return any(set(key) == set(foreign_key.target_columns) for key in keys)

    def _scripts(self) -> Iterable[str]:
        for script in self._kept_scripts().values():
            yield in_database(script, self._database)

    def _kept_scripts(self) -> dict[str, str]:
        """The CREATE statements of the indexes and triggers of the new table, by folded name."""
        wanted = {name: self.expected.scripts[name] for name in self.added}
        kept = {name: sql for name, sql in self.actual.scripts.items() if name not in self.dropped}
        return kept | wanted


def in_database(script: str, database: str) -> str:
    """The CREATE statement of an index or trigger as SQLite stores it, with the name of the database in front."""
    found = _SCRIPT.fullmatch(script)
    return script if found is None else f"{found[1]}{quote(database)}.{found[2]}"


def literal(value: str) -> str:
    """The string as a literal."""
    return "'" + value.replace("'", "''") + "'"


def _bracketed(name: str) -> str:
    """The name in a quotation that SQLite never reads as a string."""
    return "`" + name.replace("`", "``") + "`"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
