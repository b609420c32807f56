"""Plants drifts in a project's database: one of each kind, in a table chosen by chance."""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workloads.contract_projects.readings import Part, Reading, TableReading

_CANDIDATES = 8


@dataclass(frozen=True)
class Plant:
    """A drift: the statements that plant it, and the part of the schema that they change."""

    kind: str
    statements: tuple[str, ...]
    part: Part


def plants(reading: Reading, dialect: str, scripts: dict[str, list[str]], seed: str) -> Iterator[Plant]:
    """Some candidates of each kind, by chance. The caller plants the first of a kind that the database accepts.

    `scripts`: on SQLite, the CREATE statements of each table and its indexes and triggers.
    """
    chance = random.Random(seed)
    names = sorted(name for name, table in reading.tables.items() if len(table.columns) > 1)
    for kind, make in (_POSTGRESQL if dialect == "postgresql" else _SQLITE).items():
        tables = chance.sample(names, len(names))
        candidates = (
            plant
            for name in tables
            for plant in make(kind, name, reading.tables[name], scripts.get(name, []), chance)
        )
        yield from (plant for plant, _ in zip(candidates, range(_CANDIDATES), strict=False))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_Make = Callable[[str, str, TableReading, list[str], random.Random], Iterator[Plant]]


def _on_table(template: str) -> _Make:
    def make(
        kind: str, name: str, _table: TableReading, _scripts: list[str], _chance: random.Random
    ) -> Iterator[Plant]:
        new = f"{name}_planted"
        changed = new if "{new}" in template else name
        statement = template.format(table=_quoted(name), new=_quoted(new))
        yield Plant(kind, (statement,), (changed, "table", changed))

    return make


def _on_column(template: str, fits: Callable[[TableReading, str], bool] = lambda *_: True) -> _Make:
    """`fits`: whether a column of the table can have the drift."""

    def make(
        kind: str, name: str, table: TableReading, _scripts: list[str], chance: random.Random
    ) -> Iterator[Plant]:
        found = [column for column in sorted(table.columns) if fits(table, column)]
        for column in chance.sample(found, min(1, len(found))):
            target = "planted" if "ADD COLUMN" in template else column
            statement = template.format(table=_quoted(name), column=_quoted(column))
            yield Plant(kind, (statement,), (name, "column", target))

    return make


def _on_constraint(of: str, template: str) -> _Make:
    def make(
        kind: str, name: str, table: TableReading, _scripts: list[str], chance: random.Random
    ) -> Iterator[Plant]:
        found = sorted(each for each in table.constraints if each[0] == of)
        for _, constraint, columns, _ in chance.sample(found, min(1, len(found))):
            statement = template.format(table=_quoted(name), name=_quoted(constraint))
            yield Plant(kind, (statement,), (name, f"constraint {of}", ", ".join(columns)))

    return make


def _on_index(*templates: str) -> _Make:
    def make(
        kind: str, name: str, table: TableReading, scripts: list[str], chance: random.Random
    ) -> Iterator[Plant]:
        found = sorted(table.indexes)
        for index in chance.sample(found, min(1, len(found))):
            create = re.compile(rf'CREATE (UNIQUE )?INDEX ["`]?{re.escape(index)}\b')
            sql = next(filter(create.match, scripts), "")
            renamed = re.sub(rf'["`]?\b{re.escape(index)}\b["`]?', _quoted("planted"), sql, count=1)
            statements = tuple(t.format(index=_quoted(index), renamed=renamed) for t in templates)
            yield Plant(kind, statements, (name, "index", ", ".join([index, *table.indexes[index][0]])))

    return make


def _new_index(unique: str) -> _Make:
    def make(
        kind: str, name: str, table: TableReading, _scripts: list[str], chance: random.Random
    ) -> Iterator[Plant]:
        column = chance.choice(sorted(table.columns))
        statement = f"CREATE {unique}INDEX planted ON {_quoted(name)} ({_quoted(column)})"
        yield Plant(kind, (statement,), (name, "index", f"planted, {column}"))

    return make


def _rewritten(pattern: str, replacement: str, what: str = "column") -> _Make:
    """Creates the table again with one line of its statement changed. Its rows are lost."""

    def make(
        kind: str, name: str, table: TableReading, scripts: list[str], chance: random.Random
    ) -> Iterator[Plant]:
        sql, *others = scripts
        for column in chance.sample(sorted(table.columns), len(table.columns)):
            line = pattern.replace("{column}", rf'["`]?{re.escape(column)}["`]?')
            changed, count = re.subn(line, replacement, sql, count=1, flags=re.MULTILINE | re.IGNORECASE)
            if count and changed != sql:
                yield Plant(kind, (f"DROP TABLE {_quoted(name)}", changed, *others), (name, what, column))
                return

    return make


def _plain(table: TableReading, column: str) -> bool:
    """Whether no constraint has the column."""
    return all(column not in columns for _, _, columns, _ in table.constraints)


def _required(table: TableReading, column: str) -> bool:
    return _plain(table, column) and bool(table.columns[column]["required"])


def _optional(table: TableReading, column: str) -> bool:
    return _plain(table, column) and not table.columns[column]["required"]


_ALTER = "ALTER TABLE {table} "
_BOTH: dict[str, _Make] = {
    "a table dropped": _on_table("DROP TABLE {table}"),
    "a table added": _on_table("CREATE TABLE {new} (id integer)"),
    "a column dropped": _on_column(_ALTER + "DROP COLUMN {column}"),
    "a column added": _on_column(_ALTER + "ADD COLUMN planted text"),
    "an index dropped": _on_index("DROP INDEX {index}"),
    "an index added": _new_index(""),
    "a unique index added": _new_index("UNIQUE "),
}
_POSTGRESQL: dict[str, _Make] = {
    **_BOTH,
    "a column made nullable": _on_column(_ALTER + "ALTER COLUMN {column} DROP NOT NULL", _required),
    "a column made NOT NULL": _on_column(_ALTER + "ALTER COLUMN {column} SET NOT NULL", _optional),
    "another type": _on_column(
        _ALTER + "ALTER COLUMN {column} TYPE text USING {column}::text",
        lambda t, c: "text" not in t.columns[c]["type"],
    ),
    "another length": _on_column(
        _ALTER + "ALTER COLUMN {column} TYPE character varying(7)",
        lambda t, c: "varying" in t.columns[c]["type"],
    ),
    "a default added": _on_column(
        _ALTER + "ALTER COLUMN {column} SET DEFAULT '7'",
        lambda t, c: (
            t.columns[c]["default"] is None and bool(re.match("char|text|int|big", t.columns[c]["type"]))
        ),
    ),
    "a default dropped": _on_column(
        _ALTER + "ALTER COLUMN {column} DROP DEFAULT", lambda t, c: t.columns[c]["default"] is not None
    ),
    "a unique constraint dropped": _on_constraint("u", _ALTER + "DROP CONSTRAINT {name} CASCADE"),
    "a foreign key dropped": _on_constraint("f", _ALTER + "DROP CONSTRAINT {name}"),
    "a check dropped": _on_constraint("c", _ALTER + "DROP CONSTRAINT {name}"),
    "an index renamed": _on_index("ALTER INDEX {index} RENAME TO planted"),
}
_LINE = r"^(\s*{column} +[^,\n]*?)"
_SQLITE: dict[str, _Make] = {
    **_BOTH,
    "a column made nullable": _rewritten(_LINE + r" NOT NULL", r"\1"),
    "a column made NOT NULL": _rewritten(r"^(\s*{column} +[A-Z]+(?:\(\d+\))?)( *,?\s*)$", r"\1 NOT NULL\2"),
    "another type": _rewritten(r"^(\s*{column} +)VARCHAR(\(\d+\))?", r"\1INTEGER"),
    "a default added": _rewritten(r"^(\s*{column} +VARCHAR(?:\(\d+\))?)( *,?\s*)$", r"\1 DEFAULT '7'\2"),
    "a default dropped": _rewritten(_LINE + r" DEFAULT (?:'[^']*'|\([^()]*\)|[\w.-]+)", r"\1"),
    "a unique constraint dropped": _rewritten(
        r",\s*(?:CONSTRAINT \S+ )?UNIQUE \(([^)\n]*{column}[^)\n]*)\)", "", "constraint u"
    ),
    "a foreign key dropped": _rewritten(
        r",\s*(?:CONSTRAINT \S+ )?FOREIGN KEY *\([^)\n]*{column}[^)\n]*\) REFERENCES [^\n]*?\)"
        r"(?: ON \w+ (?:CASCADE|SET NULL))*(?=,?\s*$)", "", "constraint f",
    ),
    "an index renamed": _on_index("DROP INDEX {index}", "{renamed}"),
}  # fmt: skip
