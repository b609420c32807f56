"""All checks of a library, for the command line."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from photolineage.catalog.engine import reading
from photolineage.catalog.orm import Base
from photolineage.catalog.queries import materialized_version, serving_model_key, shard_keys
from photolineage.checks.catalog_contract import ContractReport, report_of
from photolineage.checks.stores import (
    StoreFindings,
    check_embedding_files,
    check_events,
    check_events_of_serving_model,
    check_index_coverage,
)
from photolineage.contract.drift import Drift
from photolineage.lineage import JobKind
from photolineage.models.registry import ModelNotLoadedError
from photolineage.settings import Settings
from photolineage.stores.embeddings import EmbeddingStore
from photolineage.stores.files import open_files
from photolineage.stores.identity import ForeignStoreError, require_own_store
from photolineage.stores.root_folder import StorageError
from photolineage.stores.vector_index import IndexNotBuiltError, VectorIndexError, VectorIndexes


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """What one check found."""

    name: str
    passed: bool
    description: str


def check_library(settings: Settings, engine: Engine) -> list[CheckFinding]:
    """Check the catalog table by table; if it matches the code, also the files, index and events of each model."""
    with reading(engine) as connection:
        report = report_of(connection)
        if not report.holds and not report.drifts:
            return [CheckFinding("catalog", False, report.summary)]
        findings = [_table_finding(report.of_table(table), table) for table in sorted(Base.metadata.tables)]
        findings.append(_store_finding(connection, settings))
        if all(finding.passed for finding in findings):
            for model_key in settings.models:
                findings += _model_findings(connection, settings, model_key)
            serving = serving_model_key(connection)
            if serving is not None:
                findings.append(
                    _finding(serving, "events_are_current", [check_events_of_serving_model(connection)])
                )
    return findings


def _store_finding(connection: Connection, settings: Settings) -> CheckFinding:
    try:
        store = require_own_store(connection, open_files(settings))
    except ForeignStoreError as error:
        return CheckFinding("catalog: store", False, str(error))
    found = "The catalog belongs to this home." if store else "The catalog belongs to no home yet."
    return CheckFinding("catalog: store", True, found)


def _table_finding(report: ContractReport, table: str) -> CheckFinding:
    differences = "; ".join(_sentence(drift) for drift in report.drifts)
    description = f"{differences.rstrip('.')}. Run `photolineage repair`." if differences else report.summary
    return CheckFinding(f"catalog: table {table}", report.holds, description)


def _model_findings(connection: Connection, settings: Settings, model_key: str) -> list[CheckFinding]:
    store, indexes = EmbeddingStore(open_files(settings)), VectorIndexes(settings.home)
    try:
        files = [
            check_embedding_files(connection, store, model_key, shard) for shard in shard_keys(connection)
        ]
        embeddings = _finding(model_key, "embedding_files", files)
        if not embeddings.passed:
            return [embeddings]
        coverage = check_index_coverage(connection, store, indexes, model_key)
        membership = check_events(connection, model_key, settings.events)
    except ModelNotLoadedError:
        return []  # this model is not built yet, so there is nothing to check
    except IndexNotBuiltError as error:
        if materialized_version(connection, JobKind.INDEX, model_key) is None:
            return [embeddings]  # its index is not built yet
        return [embeddings, CheckFinding(f"{model_key}: index_coverage", False, str(error))]
    except (StorageError, VectorIndexError) as error:
        return [CheckFinding(f"{model_key}: stores", False, str(error))]
    return [
        embeddings,
        _finding(model_key, "index_coverage", [coverage]),
        _finding(model_key, "event_membership", [membership]),
    ]


def _finding(model_key: str, name: str, findings: list[StoreFindings]) -> CheckFinding:
    problems = [problem for finding in findings for problem in finding.problems]
    problems += [_sentence(drift) for finding in findings for drift in finding.drifts]
    looked_at = sum(finding.looked_at for finding in findings)
    return CheckFinding(
        f"{model_key}: {name}", not problems, "; ".join(problems) or f"{looked_at} checked, no problems"
    )


def _sentence(drift: Drift) -> str:
    fix = "; ".join(drift.fix.safe) or drift.fix.note
    return (
        f"{drift.table}: {drift.kind} {drift.name}: expected {drift.expected or 'nothing'}, "
        f"found {drift.actual or 'nothing'}" + (f". Fix: {fix}" if fix else "")
    )
