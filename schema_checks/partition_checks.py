"""What is checked after a partition was materialized: embedding files, index and events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
)

from photolineage.catalog.engine import reading
from photolineage.catalog.queries import serving_model_key
from photolineage.errors import PhotolineageError
from photolineage.lineage import (
    IMAGE_EMBEDDINGS,
    IMAGE_EVENTS,
    MODEL_COMPARISON,
    SERVING_MODEL,
    VECTOR_INDEX,
    VERIFIED_ORIGINALS,
    JobKind,
    Step,
    split_partition_key,
)
from photolineage.plain_text import printable, without_links
from photolineage.settings import Settings
from resources.home import CatalogResource, StorageResource
from schema_checks.pinned_searches import DESCRIPTION, PINNED_SEARCHES, pinned_searches_result

if TYPE_CHECKING:
    from photolineage.checks.stores import StoreFindings


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """What the checks read."""

    catalog: CatalogResource
    storage: StorageResource
    settings: Settings


SERVING_EVENTS_CHECK = "events_are_current"
LISTED_ROTTEN = 100
ROTTEN_COLUMNS = TableSchema(
    [TableColumn(name, "string") for name in ("path", "found rotten", "last intact", "what to do")]
)
PROBLEM_COLUMN = TableSchema([TableColumn("problem", "string")])


@dataclass(frozen=True, slots=True)
class PartitionCheck:
    """A check of each partition of a step. If `evaluate` raises an error, the check has failed."""

    name: str
    step: Step
    description: str
    evaluate: Callable[[CheckInputs, str], AssetCheckResult]

    def result(self, inputs: CheckInputs, partition_key: str) -> AssetCheckResult:
        """The result for one partition."""
        try:
            result = self.evaluate(inputs, partition_key)
        except Exception as error:  # noqa: BLE001 (also of a database or a device: the result says what it was)
            of = "" if isinstance(error, PhotolineageError) else f"{type(error).__name__}: "
            result = AssetCheckResult(
                passed=False,
                description=without_links(f"{of}{error}"),
                metadata={"partition": partition_key},
            )
        return result._replace(check_name=self.name, asset_key=AssetKey(self.step.name))


def findings_result(findings: "Sequence[StoreFindings]", partition: str, unit: str) -> AssetCheckResult:
    """Findings about the stores as the result of a check. `unit`: what was looked at, such as `files`."""
    from photolineage.contract.dagster_checks import difference_table

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
            "problems": MetadataValue.table(  # not Markdown: they contain paths
                [TableRecord({"problem": printable(problem)}) for problem in problems], PROBLEM_COLUMN
            ),
            "differences": difference_table(drifts),
        },
    )


def _embedding_files(inputs: CheckInputs, partition_key: str) -> AssetCheckResult:
    from photolineage.checks.stores import check_embedding_files

    model, shard = split_partition_key(partition_key)
    with reading(inputs.catalog.engine) as connection:
        found = check_embedding_files(connection, inputs.storage.embeddings, model, shard)
    return findings_result([found], partition_key, "files")


def _index_coverage(inputs: CheckInputs, model: str) -> AssetCheckResult:
    from photolineage.checks.stores import check_index_coverage

    with reading(inputs.catalog.engine) as connection:
        found = check_index_coverage(connection, inputs.storage.embeddings, inputs.storage.indexes, model)
    return findings_result([found], model, "index rows")


def _index_recall(inputs: CheckInputs, model: str) -> AssetCheckResult:
    from photolineage.models.registry import require_model

    with reading(inputs.catalog.engine) as connection:
        dim = require_model(connection, model).embedding_dim
    recall = inputs.storage.indexes.open(model, dim).recall_at_k()
    bar = inputs.settings.recall_bar
    return AssetCheckResult(
        passed=bool(recall.recall >= bar),
        description=f"{model}: recall@{recall.k} is {recall.recall:.3f}; at least {bar} is required (recall_bar)",
        metadata={
            "partition": model,
            "recall": recall.recall,
            "p50_ms": recall.p50_ms,
            "p95_ms": recall.p95_ms,
            "sample": recall.sample,
        },
    )


def _event_membership(inputs: CheckInputs, model: str) -> AssetCheckResult:
    from photolineage.checks.stores import check_events

    with reading(inputs.catalog.engine) as connection:
        found = check_events(connection, model, inputs.settings.events)
    return findings_result([found], model, "events")


def _pinned_searches(inputs: CheckInputs, model: str) -> AssetCheckResult:
    return pinned_searches_result(inputs.catalog.engine, inputs.storage, inputs.settings, model)


def serving_events_result(catalog: CatalogResource) -> AssetCheckResult:
    """Whether the events of the serving model were computed from its current index."""
    from photolineage.checks.stores import check_events_of_serving_model

    with reading(catalog.engine) as connection:
        findings = check_events_of_serving_model(connection)
        serving = serving_model_key(connection)
    result = findings_result([findings], serving or "no serving model", "models")
    return result._replace(check_name=SERVING_EVENTS_CHECK, asset_key=AssetKey(SERVING_MODEL.name))


def _originals_intact(inputs: CheckInputs, shard_key: str) -> AssetCheckResult:
    from photolineage.catalog.listing import newest_job
    from photolineage.catalog.queries import find_shard
    from photolineage.catalog.verification import find_rotten, last_verified
    from photolineage.steps.verify import describe_copy

    with reading(inputs.catalog.engine) as connection:
        find_shard(connection, shard_key)
        rotten = find_rotten(connection, shard_key)
        verified_at = last_verified(connection).get(shard_key)
        job = newest_job(connection, JobKind.VERIFY, shard_key)
    unread = job.failed if job is not None else 0
    severity = AssetCheckSeverity.ERROR if rotten else AssetCheckSeverity.WARN
    if rotten:
        first = rotten[0]
        described = (
            f"{len(rotten)} rotten: the bytes of {printable(first.path)} have changed, but not its size and time. "
            f"{describe_copy(first)} Then materialize this partition again."
        )
    elif verified_at is None:
        described = "Not verified to the end yet. Materialize verified_originals for this partition."
    elif unread:
        described = (
            f"No rot was found, but {unread} files could not be read. The metadata of the run lists them."
        )
    else:
        described = f"No rot was found. Verified at {verified_at:%Y-%m-%d %H:%M} UTC."
    records = [
        TableRecord(
            {
                "path": printable(one.path),
                "found rotten": f"{one.found_at:%Y-%m-%d %H:%M} UTC",
                "last intact": f"{one.verified_at:%Y-%m-%d %H:%M} UTC"
                if one.verified_at
                else "when registered",
                "what to do": describe_copy(one),
            }
        )
        for one in rotten[:LISTED_ROTTEN]
    ]
    return AssetCheckResult(
        passed=not rotten and verified_at is not None and not unread,
        severity=severity,
        description=without_links(f"{shard_key}: {described}"),
        metadata={
            "partition": shard_key,
            "rotten": len(rotten),
            "unreadable": unread,
            "files": MetadataValue.table(records, ROTTEN_COLUMNS),
        },
    )


PARTITION_CHECKS = (
    PartitionCheck(
        "embedding_files",
        IMAGE_EMBEDDINGS,
        "The committed files of the partition exist and match their commit records: schema, dimension and weights "
        "match, vectors are finite and of unit length, each image is of this shard and occurs once.",
        _embedding_files,
    ),
    PartitionCheck(
        "index_coverage",
        VECTOR_INDEX,
        "The index has exactly one row for each distinct registered image: index rows = committed embeddings = "
        "distinct registered images.",
        _index_coverage,
    ),
    PartitionCheck(
        "index_recall",
        VECTOR_INDEX,
        "recall@10 of the index, compared with exact search on a fixed sample, is at least `recall_bar`.",
        _index_recall,
    ),
    PartitionCheck(
        "event_membership",
        IMAGE_EVENTS,
        "Every dated image is in exactly one event, every image of an event is registered, the recorded sizes are "
        "right, and no event is longer than `max_event_days`.",
        _event_membership,
    ),
    PartitionCheck(
        "originals_intact",
        VERIFIED_ORIGINALS,
        "No original of the shard is rotten: no file has other bytes than when it was registered, at the same size and "
        "time. The table names an intact copy of each rotten file. Files that cannot be read are a warning.",
        _originals_intact,
    ),
    *(
        PartitionCheck(PINNED_SEARCHES, step, DESCRIPTION, _pinned_searches)
        for step in (VECTOR_INDEX, MODEL_COMPARISON)
    ),
)
