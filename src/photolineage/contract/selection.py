"""Which drifts a comparison reports: those of some tables, without those that somebody accepted."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias, TypedDict

from .drift import Drift
from .errors import ContractError
from .schema import Table

Patterns: TypeAlias = str | Iterable[str]
Baseline: TypeAlias = str | Path | Iterable[Drift | str]


class CompareOptions(TypedDict, total=False):
    """The arguments of `compare` that choose what it reports."""

    include: Patterns
    exclude: Patterns
    ignore: Patterns
    version_tables: Patterns
    baseline: Baseline
    notes: bool


@dataclass(frozen=True)
class Selection:
    """What to report. Every pattern may contain `*`, `?` and `[abc]`."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    version_tables: tuple[str, ...] = ()
    accepted: frozenset[str] = frozenset()

    def covers(self, names: Iterable[str]) -> bool:
        """Whether an object that has any of these names is compared."""
        names = tuple(names)
        return _match(names, self.include) and not _match(names, self.exclude)

    def reports(self, drift: Drift) -> bool:
        """Whether nobody ignores or accepted the drift."""
        return drift.identity not in self.accepted and not _match((drift.identity,), self.ignore)

    def is_version_table(self, table: Table) -> bool:
        """Whether a migration tool keeps its own revision in the table. Alembic's are known by their only column."""
        return table.key[1] in self.version_tables or table.columns.keys() == {"version_num"}


def selection(
    include: Patterns, exclude: Patterns, ignore: Patterns, version_tables: Patterns, baseline: Baseline
) -> Selection:
    """The selection that these arguments of `compare` describe. Raises ContractError for an unreadable baseline."""
    return Selection(
        _patterns(include),
        _patterns(exclude),
        _patterns(ignore),
        _patterns(version_tables),
        _accepted(baseline),
    )


def write_baseline(path: str | Path, drifts: Iterable[Drift]) -> None:
    """Writes the drifts to a JSON file. `compare(..., baseline=path)` then leaves them out."""
    identities = sorted({drift.identity for drift in drifts})
    Path(path).write_text(json.dumps({"accepted": identities}, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _patterns(patterns: Patterns) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def _match(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _accepted(baseline: Baseline) -> frozenset[str]:
    if not isinstance(baseline, str | Path):
        return frozenset(each.identity if isinstance(each, Drift) else each for each in baseline)
    try:
        accepted = json.loads(Path(baseline).read_text("utf-8"))["accepted"]
        return frozenset(map(str, accepted))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(
            f"Cannot read the baseline {str(baseline)!r}: {error!r}. Write it with write_baseline(path, drifts),"
            ' or as {"accepted": ["…"]} with the identity of each accepted drift.'
        ) from error
