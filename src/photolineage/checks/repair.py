"""Repairing a library: the catalog's schema, indexes of a wrong shape, and lost files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Connection, Engine

from photolineage.catalog.engine import reading, run_in_transaction
from photolineage.catalog.leases import LeaseHeldError
from photolineage.catalog.migration_plan import back_up_first
from photolineage.catalog.queries import find_model
from photolineage.checks.repair_catalog import (
    Outcome,
    Repair,
    apply_fixes,
    checked_report,
    plan_fixes,
)
from photolineage.checks.stored_model import index_drifts
from photolineage.contract.drift import Drift
from photolineage.errors import PhotolineageError
from photolineage.lineage import IMAGE_EMBEDDINGS, REGISTERED_IMAGES, VECTOR_INDEX
from photolineage.settings import Settings
from photolineage.steps.freshness import LostFiles
from photolineage.steps.index import build_index
from photolineage.steps.jobs import JobContext
from photolineage.steps.lost_files import find_lost_files, make_due
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.root_folder import RootFolder, StorageError
from photolineage.stores.vector_index import IndexDamagedError, VectorIndexError, VectorIndexes

LISTED = 100
"""The plan lists so many partitions of each step with lost files, and counts the others."""

_REBUILD = "rebuild it from the embedding files"
_MATERIALIZE = (
    "make it due for the sensor stale_partitions and `photolineage run`; without them, materialize it"
)


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was repaired, or, without `applied`, what would be.

    `schema_holds`: the catalog matches the code; otherwise indexes and files were not looked at. `backup`: the copy of
    the catalog that was made first.
    """

    repairs: tuple[Repair, ...]
    schema_holds: bool
    applied: bool
    backup: Path | None = None

    @property
    def failed(self) -> bool:
        """Whether something could not be repaired, so that runs may still fail."""
        refused = any(repair.outcome is Outcome.REFUSED for repair in self.repairs)
        return self.applied and (refused or not self.schema_holds)


@dataclass(frozen=True, slots=True)
class _StoreProblems:
    """Indexes to rebuild, lost files, and what nobody but a person can mend."""

    indexes: Mapping[str, str] = field(default_factory=dict)
    lost: LostFiles = field(default_factory=LostFiles)
    by_hand: tuple[Repair, ...] = ()


def plan_repair(engine: Engine, settings: Settings, *, allow_data_loss: bool = False) -> RepairReport:
    """What a repair would do. Changes nothing. Raises RepairRefusedError if migrations are pending."""
    with reading(engine) as connection:
        report = checked_report(connection)
        repairs = plan_fixes(report.drifts, allow_data_loss=allow_data_loss)
        if not report.holds:
            return RepairReport((*repairs, _later(Outcome.PLANNED)), schema_holds=False, applied=False)
        problems = _find_problems(connection, settings)
    return RepairReport((*repairs, *_planned(problems)), schema_holds=True, applied=False)


def repair_library(
    context: JobContext, settings: Settings, *, has_backup: bool, allow_data_loss: bool = False
) -> RepairReport:
    """Fix the catalog's schema after a backup, rebuild indexes of a wrong shape, and make lost files due.

    Statements that lose data run only with `allow_data_loss`. Raises RepairRefusedError if migrations are pending, and
    BackupRequiredError for a PostgreSQL catalog that has something to fix, if `has_backup` is false.
    """
    engine, backup = context.engine, None
    with reading(engine) as connection:
        report = checked_report(connection)
    repairs = plan_fixes(report.drifts, allow_data_loss=allow_data_loss)
    if any(repair.outcome is Outcome.PLANNED for repair in repairs):
        backups = RootFolder(settings.home).inner("backups")
        backup = back_up_first(
            engine, backups, str(report.revision_found), has_backup=has_backup, command="repair --apply"
        )
        repairs = apply_fixes(engine, allow_data_loss=allow_data_loss)
        with reading(engine) as connection:
            report = checked_report(connection)
    if not report.holds:
        return RepairReport(
            (*repairs, _later(Outcome.LATER)), schema_holds=False, applied=True, backup=backup
        )
    with reading(engine) as connection:
        problems = _find_problems(connection, settings)
    repairs += [_rebuild(context, settings, model, reason) for model, reason in problems.indexes.items()]
    run_in_transaction(engine, lambda connection: make_due(connection, problems.lost))
    repairs += [replace(repair, outcome=Outcome.DONE) for repair in _lost(problems.lost)]
    return RepairReport((*repairs, *problems.by_hand), schema_holds=True, applied=True, backup=backup)


def _later(outcome: Outcome) -> Repair:
    return Repair(
        "not looked at yet",
        "indexes and files",
        "they are repaired next, as soon as the catalog matches the code",
        outcome,
    )


def _find_problems(connection: Connection, settings: Settings) -> _StoreProblems:
    indexes, by_hand = VectorIndexes(settings.home), []
    wrong: dict[str, str] = {}
    for model_key in settings.models:
        if find_model(connection, model_key) is None:
            continue
        try:
            drifts = index_drifts(connection, indexes, model_key)
        except IndexDamagedError as error:
            wrong[model_key] = str(error)
        except VectorIndexError as error:
            by_hand.append(_unreadable(f"{VECTOR_INDEX.name} {model_key}", error))
        else:
            if drifts:
                wrong[model_key] = "; ".join(_difference(drift) for drift in drifts)
    try:
        lost = find_lost_files(connection, open_files(settings), indexes, list(settings.models))
    except StorageError as error:
        lost = LostFiles()
        by_hand.append(_unreadable("files", error))
    return _StoreProblems(wrong, lost, tuple(by_hand))


def _difference(drift: Drift) -> str:
    return f"{drift.name}: expected {drift.expected or 'nothing'}, found {drift.actual or 'nothing'}"


def _unreadable(where: str, error: PhotolineageError) -> Repair:
    return Repair("cannot be read", where, str(error), Outcome.BY_HAND)


def _planned(problems: _StoreProblems) -> list[Repair]:
    return [
        *(_index_repair(model, reason, Outcome.PLANNED) for model, reason in problems.indexes.items()),
        *_lost(problems.lost),
        *problems.by_hand,
    ]


def _index_repair(model_key: str, reason: str, outcome: Outcome) -> Repair:
    return Repair(
        "index of a wrong shape", f"{VECTOR_INDEX.name} {model_key}", f"{_REBUILD} ({reason})", outcome
    )


def _rebuild(context: JobContext, settings: Settings, model_key: str, reason: str) -> Repair:
    embeddings, indexes = EmbeddingStore(open_files(settings)), VectorIndexes(settings.home)
    try:
        build_index(context, embeddings, indexes, model_key, rebuild=True)
    except (LeaseHeldError, VectorIndexError, StorageError) as error:
        return _index_repair(model_key, str(error), Outcome.REFUSED)
    return _index_repair(model_key, reason, Outcome.DONE)


def _lost(lost: LostFiles) -> list[Repair]:
    repairs = []
    for what, step, subjects in (
        ("lost preview files", REGISTERED_IMAGES, list(lost.previews)),
        ("lost embedding files", IMAGE_EMBEDDINGS, list(lost.embeddings)),
        ("lost index", VECTOR_INDEX, list(lost.indexes)),
    ):
        repairs += [_lost_files(what, f"{step.name} {subject}") for subject in subjects[:LISTED]]
        if len(subjects) > LISTED:
            repairs.append(_lost_files(what, f"{step.name}: {len(subjects) - LISTED} more partitions"))
    return repairs


def _lost_files(what: str, where: str) -> Repair:
    return Repair(what, where, _MATERIALIZE, Outcome.PLANNED)


def rows(repairs: Sequence[Repair]) -> list[dict[str, str]]:
    """The repairs as the rows of a table."""
    return [
        {"what": one.what, "where": one.where, "how": one.how, "outcome": str(one.outcome)} for one in repairs
    ]
