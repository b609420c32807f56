"""One trial: a table with drifts and hard values, and what each fix of the report does to them."""

from dataclasses import dataclass, field
from random import Random

from photolineage.contract.comparison import compare
from photolineage.contract.drift import Drift, DriftKind
from workloads.contract_fixes.databases import Database, Rows
from workloads.contract_fixes.random_cases import drawn, value
from workloads.contract_fixes.runners import Run
from workloads.contract_fixes.tables import Case

_ROWS = 5
_REFUSED = (
    "constraint failed", "cannot store", "violat", "null values", "could not create unique", "too long",
    "out of range", "invalid input", "malformed array", "cannot convert", "overflow", "is not unique",
)  # fmt: skip


@dataclass
class Outcome:
    """What happened in some trials. `applied` and `refused` count fixes. Each violation says how to repeat it."""

    cases: int = 0
    applied: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)


def try_case(database: Database, seed: int, outcome: Outcome, *, fixes: int | None = None) -> None:
    """Draws a case by its seed and tries its fixes, or some of them, each on a new copy of the database."""
    random = Random(f"{database.dialect} {seed}")
    expected, live = drawn(random, database.dialect)
    trial = _Trial(database, expected, live, random, outcome, seed)
    outcome.cases += 1
    trial.run(fixes)


class _Trial:
    def __init__(
        self,
        database: Database,
        expected: Case,
        live: Case,
        random: Random,
        outcome: Outcome,
        seed: int,
    ) -> None:
        self._database = database
        self._expected = expected
        self._live = live
        self._random = random
        self._outcome = outcome
        self._seed = seed
        self._scripts = random.random() < 0.7
        self._rows = list(_rows(random, database.dialect, live))
        self._metadata = expected.metadata(database.dialect)

    def run(self, fixes: int | None) -> None:
        self._make(filled=True)
        drifts = self._compare()
        chosen = drifts if fixes is None else self._random.sample(drifts, min(fixes, len(drifts)))
        for drift in chosen:
            if drift.fix.safe:
                self._fix(drift, drift.fix.safe, drifts, safe=True)
            if drift.fix.destructive:
                self._fix(drift, drift.fix.destructive, drifts, safe=False)
        self._in_order()

    def _make(self, *, filled: bool) -> None:
        scripts = list(_scripts(self._database.dialect)) if self._scripts else []
        rows = self._rows if filled else []
        self._database.make(self._live.metadata(self._database.dialect), scripts + rows)

    def _compare(self) -> list[Drift]:
        with self._database.connected() as connection:
            return compare(self._metadata, connection)

    def _fix(self, drift: Drift, statements: tuple[str, ...], drifts: list[Drift], *, safe: bool) -> None:
        self._database.again()
        before = self._database.rows()
        name = self._random.choice(sorted(self._database.runners))
        errors = self._database.runners[name](Run(drift, statements, self._database.address))
        after, left = self._database.rows(), self._compare()
        problems = self._database.works(scripts=self._scripts)
        if safe:
            problems += list(_changed(before, after)) + self._lost_constraints()
        elif drift.kind is not DriftKind.EXTRA_TABLE and _count(before) != _count(after):
            problems.append("rows are lost")
        found = {_identity(other) for other in left}
        if errors:
            self._outcome.refused += 1
            problems += [error for error in errors[:1] if not _is_refusal(error)]
            problems += [f"new drift {new}" for new in found - set(map(_identity, drifts))] if safe else []
        else:
            self._outcome.applied += 1
            if _identity(drift) in found and not (safe and drift.kind is DriftKind.EXTRA_COLUMN):
                problems.append("the drift is still there")
        which = "safe" if safe else "destructive"
        self._report(problems, f"{_identity(drift)} {which}, {name}")

    def _lost_constraints(self) -> list[str]:
        """The constraints of columns that only the database has. The comparison does not look at them."""
        names = {*self._live.checks, *self._live.uniques} - {*self._expected.checks, *self._expected.uniques}
        kept = {name for name in names if name.endswith(("_legacy", "_old_note"))}
        return [f"{name} is lost" for name in kept - self._database.constraints()]

    def _in_order(self) -> None:
        """Every fix of the report in its order, on tables without rows: none fails, and no drift is left."""
        self._make(filled=False)
        for drift in self._compare():
            statements = drift.fix.safe or drift.fix.destructive
            if drift.kind is DriftKind.EXTRA_COLUMN:
                statements = drift.fix.destructive
            errors = self._database.runners["stops"](Run(drift, statements, self._database.address))
            self._report(errors, f"{_identity(drift)} in order")
        self._report([f"left: {_identity(drift)}" for drift in self._compare()], "in order")

    def _report(self, problems: list[str], where: str) -> None:
        place = f"{self._database.dialect} {self._seed}: {where}"
        self._outcome.violations += [f"{place}: {problem}" for problem in problems]


def _rows(random: Random, dialect: str, live: Case) -> list[str]:
    rows = ["INSERT INTO parent (id, name) VALUES (1, 'a'), (2, 'b')"]
    stored = {name: column for name, column in live.columns.items() if column.computed is None}
    for number in range(random.choice((0, _ROWS, _ROWS, _ROWS))):
        key = f"'k{number}'" if live.key == "text" else str(3 * number + 1)
        names = ", ".join(["id", *(f'"{name}"' for name in stored)])
        values = []
        for name, column in stored.items():
            kept = random.choice(("1", "2", "0")) if name == "number" and random.random() < 0.5 else None
            values.append(kept or value(random, dialect, column.type))
        rows.append(f"INSERT INTO item ({names}) VALUES ({', '.join([key, *values])})")
        rows.append(f"INSERT INTO remark (id, item_id) VALUES ({number + 1}, {key})")
    return rows + [f"INSERT INTO {name} (id, up) VALUES (1, 1)" for name in live.others]


def _scripts(dialect: str) -> list[str]:
    view = "CREATE VIEW item_ids AS SELECT id FROM item"
    log = "INSERT INTO log VALUES ('a\tb')"
    if dialect == "sqlite":
        return [view, f"CREATE TRIGGER deleted AFTER DELETE ON item BEGIN {log}; END"]
    function = (
        f"CREATE FUNCTION logged() RETURNS trigger AS $$ BEGIN {log}; RETURN NULL; END $$ LANGUAGE plpgsql"
    )
    trigger = "CREATE TRIGGER deleted AFTER DELETE ON item FOR EACH ROW EXECUTE FUNCTION logged()"
    return [view, function, trigger]


def _identity(drift: Drift) -> tuple[str, str, str]:
    return str(drift.kind), drift.table, drift.name


def _is_refusal(error: str) -> bool:
    return any(part in error.lower() for part in _REFUSED)


def _count(rows: Rows) -> dict[str, int]:
    return {table: len(next(iter(columns.values()))) for table, columns in rows.items()}


def _changed(before: Rows, after: Rows) -> list[str]:
    problems = []
    for table, columns in before.items():
        for column, values in columns.items():
            found = after.get(table, {}).get(column)
            if found != values:
                problems.append(f"{table}.{column}: {str(values)[:200]} became {str(found)[:200]}")
    added = [table for table in after if table not in before and "__" in table]
    return problems + [f"{table} is left over" for table in added]
