"""What was found in one project's database."""

from dataclasses import dataclass, field


@dataclass
class Result:
    """One project and one kind of database.

    `stopped`: why there is no result, e.g. because a package cannot be installed or a migration fails.

    `differences`: the objects that differ between the migrated database and one that the models made, as read by other
    queries than the contract's. `true`, `false`: the contract's drifts with and without such a difference. `missed`:
    differences that no drift names. `unfixed`: drifts that all fixes, applied in their order, leave; `refused`: the
    fixes that the database refused. `differences_after_fixes`: those that no drift left over names. `planted`: drifts
    planted in copies of the database.
    """

    project: str
    package: str
    database: str
    stopped: str = ""
    tables: int = 0
    migrating_seconds: float = 0.0
    differences: int = 0
    true: int = 0
    found: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    crash: str = ""
    seconds: float = 0.0
    alembic_found: int = 0
    alembic_false: list[str] = field(default_factory=list)
    alembic_crash: str = ""
    alembic_seconds: float = 0.0
    refused: list[str] = field(default_factory=list)
    unfixed: list[str] = field(default_factory=list)
    new_after_fixes: list[str] = field(default_factory=list)
    differences_after_fixes: list[str] = field(default_factory=list)
    planted: int = 0
    planted_found: int = 0
    planted_missed: list[str] = field(default_factory=list)
    planted_found_by_alembic: int = 0
