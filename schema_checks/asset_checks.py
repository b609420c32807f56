"""The asset checks: one for each table of the catalog, and those of the stores."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    MultiPartitionKey,
    PartitionsDefinition,
    ResourceParam,
    asset_check,
    multi_asset_check,
)

from photolineage.catalog.orm import Base
from photolineage.catalog.queries import serving_model_key
from photolineage.errors import PhotolineageError
from photolineage.lineage import CATALOG_SCHEMA, IMAGE_EMBEDDINGS, IMAGE_EVENTS, SERVING_MODEL, VECTOR_INDEX
from photolineage.settings import Settings
from resources.failures import reported
from resources.home import CatalogResource, StorageResource

if TYPE_CHECKING:
    from photolineage.checks.stores import StoreFindings


def catalog_table_checks() -> AssetChecksDefinition:
    """One blocking check for each table of the catalog, so that the UI shows which table failed."""
    tables = sorted(Base.metadata.tables)

    @multi_asset_check(
        name="catalog_tables",
        can_subset=True,  # the UI can run a single check
        specs=[
            AssetCheckSpec(
                f"table_{table}",
                asset=CATALOG_SCHEMA.name,
                blocking=True,
                description=f"The table `{table}` in the database matches the code.",
            )
            for table in tables
        ],
    )
    def catalog_tables(
        context: AssetCheckExecutionContext, catalog: ResourceParam[CatalogResource]
    ) -> Iterator[AssetCheckResult]:
        from photolineage.checks.catalog_contract import report_of
        from schema_checks.check_metadata import contract_metadata

        selected = {key.name for key in context.selected_asset_check_keys}
        with reported(), catalog.engine.connect() as connection:
            for table in (table for table in tables if f"table_{table}" in selected):
                report = report_of(connection, frozenset({table}))
                yield AssetCheckResult(
                    asset_key=AssetKey(CATALOG_SCHEMA.name),
                    check_name=f"table_{table}",
                    passed=report.holds,
                    severity=AssetCheckSeverity.ERROR,
                    description=report.summary,
                    metadata=contract_metadata(report),
                )

    return catalog_tables


def store_checks(
    models: PartitionsDefinition[str], model_shards: PartitionsDefinition[MultiPartitionKey]
) -> Sequence[AssetChecksDefinition]:
    """The checks of embedding files, index and events, with the partitions of their assets."""

    @asset_check(
        asset=IMAGE_EMBEDDINGS.name,
        partitions_def=model_shards,
        description="The committed files of the partition exist and match their commit records: schema, dimension "
        "and weights match, vectors are finite and of unit length, each image is of this shard and occurs once.",
    )
    def embedding_files(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
    ) -> AssetCheckResult:
        from photolineage.checks.stores import check_embedding_files

        keys = [key for key in context.partition_keys if isinstance(key, MultiPartitionKey)]
        findings = []
        with catalog.engine.connect() as connection:
            for key in keys:
                model, shard = key.keys_by_dimension["model"], key.keys_by_dimension["shard"]
                findings.append(check_embedding_files(connection, storage.embeddings, model, shard))
        return _result(findings, ", ".join(keys), "files")

    @asset_check(
        asset=VECTOR_INDEX.name,
        partitions_def=models,
        description="The index has exactly one row for each distinct registered image: index rows = "
        "committed embeddings = distinct registered images.",
    )
    def index_coverage(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
    ) -> AssetCheckResult:
        from photolineage.checks.stores import check_index_coverage

        def check(model: str) -> "StoreFindings":
            with catalog.engine.connect() as connection:
                return check_index_coverage(connection, storage.embeddings, storage.indexes, model)

        return _by_model(context, check, "index rows")

    @asset_check(
        asset=VECTOR_INDEX.name,
        partitions_def=models,
        description="recall@10 of the index, compared with exact search on a fixed sample, is at least `recall_bar`.",
    )
    def index_recall(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        storage: ResourceParam[StorageResource],
        settings: ResourceParam[Settings],
    ) -> AssetCheckResult:
        from photolineage.models.registry import require_model

        model_key = context.partition_key
        try:
            with catalog.engine.connect() as connection:
                dim = require_model(connection, model_key).embedding_dim
            recall = storage.indexes.open(model_key, dim).recall_at_k()
        except PhotolineageError as error:
            return AssetCheckResult(passed=False, description=str(error), metadata={"partition": model_key})
        return AssetCheckResult(
            passed=bool(recall.recall >= settings.recall_bar),
            description=f"{model_key}: recall@{recall.k} is {recall.recall:.3f}; at least {settings.recall_bar} "
            "is required (recall_bar)",
            metadata={
                "partition": model_key,
                "recall": recall.recall,
                "p50_ms": recall.p50_ms,
                "p95_ms": recall.p95_ms,
                "sample": recall.sample,
            },
        )

    @asset_check(
        asset=IMAGE_EVENTS.name,
        partitions_def=models,
        description="Every dated image is in exactly one event, every image of an event is registered, the recorded "
        "sizes are right, and no event is longer than `max_event_days`.",
    )
    def event_membership(
        context: AssetCheckExecutionContext,
        catalog: ResourceParam[CatalogResource],
        settings: ResourceParam[Settings],
    ) -> AssetCheckResult:
        from photolineage.checks.stores import check_events

        def check(model: str) -> "StoreFindings":
            with catalog.engine.connect() as connection:
                return check_events(connection, model, settings.events)

        return _by_model(context, check, "events")

    @asset_check(
        asset=SERVING_MODEL.name,
        description="The events of the serving model were computed from its current index.",
    )
    def events_are_current(catalog: ResourceParam[CatalogResource]) -> AssetCheckResult:
        from photolineage.checks.stores import check_events_of_serving_model

        with catalog.engine.connect() as connection:
            findings = check_events_of_serving_model(connection)
            serving = serving_model_key(connection)
        return _result([findings], serving or "no serving model", "models")

    return [embedding_files, index_coverage, index_recall, event_membership, events_are_current]


def _by_model(
    context: AssetCheckExecutionContext, check: "Callable[[str], StoreFindings]", unit: str
) -> AssetCheckResult:
    model_key = context.partition_key
    try:
        return _result([check(model_key)], model_key, unit)
    except PhotolineageError as error:
        return AssetCheckResult(passed=False, description=str(error), metadata={"partition": model_key})


def _result(findings: "Sequence[StoreFindings]", partition: str, unit: str) -> AssetCheckResult:
    from schema_checks.check_metadata import difference_table

    problems = [problem for finding in findings for problem in finding.problems]
    drifts = [drift for finding in findings for drift in finding.drifts]
    looked_at = sum(finding.looked_at for finding in findings)
    wrong = len(problems) + len(drifts)
    description = f"{partition}: {looked_at} {unit}, " + (f"{wrong} problems" if wrong else "no problems")
    return AssetCheckResult(
        passed=not wrong,
        severity=AssetCheckSeverity.ERROR,
        description=description,
        metadata={
            "partition": partition,
            unit.replace(" ", "_"): looked_at,
            "problems": MetadataValue.md("\n".join(f"- {problem}" for problem in problems) or "none"),
            "differences": difference_table(drifts),
        },
    )
