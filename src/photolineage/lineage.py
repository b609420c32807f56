"""The lineage: its steps in order, the properties of each, and the keys of their partitions.

This table defines the Dagster assets, their jobs and checks, the sensor, the tags of the run queue and
`photolineage run`. To add a step, add a `Step` to `STEPS`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

_SEPARATOR = "|"

KEY_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
"""The keys of sources and models. They become partition keys, folder names and table names. Dagster's UI breaks on
commas and on `|`."""
SHARD_KEY_PATTERN: Final = re.compile(rf"{KEY_PATTERN.pattern}-[0-9]{{5,10}}")
"""The keys that `shard_key` returns."""


class JobKind(StrEnum):
    """What a job builds. Each pair of kind and subject has one lease."""

    SCAN = "scan"
    REGISTER = "register"
    EMBED = "embed"
    INDEX = "index"
    CLUSTER = "cluster"
    VERIFY = "verify"


class PartitionedBy(Enum):
    """What each partition of a step stands for."""

    NOTHING = auto()
    SOURCE = auto()
    SHARD = auto()
    MODEL = auto()
    MODEL_AND_SHARD = auto()


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a partition: `vit-b-32|holiday-00012` is the shard `holiday-00012` and the model `vit-b-32`.

    A shard belongs to a source, so a subject with a shard has a source too.
    """

    source: str | None = None
    shard: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the lineage; the asset of the same name materializes it.

    `group`: the asset's group in the Dagster UI. `reads`: the steps whose results this step needs. `tables`: the
    catalog tables whose schema is checked before the step writes. `kinds`: the technologies that the Dagster UI shows
    on the asset. `job`: the kind of the jobs that record the step's work in the catalog. `title`: what the command line
    calls the work. `on_device`: its runs take turns on the GPU, or on the CPU if the machine has no GPU. `fails_alone`:
    the other partitions continue after one has failed, and one run may materialize several partitions. `on_request`:
    its partitions never become stale. They are materialized when a person or a schedule asks.
    """

    name: str
    group: str
    partitioned_by: PartitionedBy
    reads: tuple["Step", ...]
    tables: frozenset[str]
    kinds: frozenset[str]
    job: JobKind | None = None
    title: str = ""
    on_device: bool = False
    fails_alone: bool = False
    on_request: bool = False

    @property
    def job_name(self) -> str:
        """The name of the Dagster job that materializes this step."""
        return f"materialize_{self.name}"

    @property
    def needs_model(self) -> bool:
        """Whether this step, or a step before it, has a partition for each model."""
        by_model = self.partitioned_by in (PartitionedBy.MODEL, PartitionedBy.MODEL_AND_SHARD)
        return by_model or any(step.needs_model for step in self.reads)

    def comes_after(self, others: Collection["Step"]) -> bool:
        """Whether this step needs the results of one of the others, directly or through steps in between."""
        return any(step in others or step.comes_after(others) for step in self.reads)

    def subject(self, partition_key: str) -> Subject:
        """The subject of the partition with this key. Raises ValueError if the step has no partitions."""
        match self.partitioned_by:
            case PartitionedBy.SOURCE:
                return Subject(source=partition_key)
            case PartitionedBy.SHARD:
                return Subject(source=source_of_shard(partition_key), shard=partition_key)
            case PartitionedBy.MODEL:
                return Subject(model=partition_key)
            case PartitionedBy.MODEL_AND_SHARD:
                model, shard = split_partition_key(partition_key)
                return Subject(source_of_shard(shard), shard, model)
            case PartitionedBy.NOTHING:
                raise ValueError(
                    f"{self.name} has no partitions, so {partition_key!r} cannot be one of its keys"
                )


def partition_subject(model_key: str, shard_key: str) -> str:
    """The partition key of a model and a shard, as Dagster writes it."""
    return f"{model_key}{_SEPARATOR}{shard_key}"


def split_partition_key(partition_key: str) -> tuple[str, str]:
    """The model and the shard of a partition key. Raises ValueError if the key does not contain both."""
    model, separator, shard = partition_key.partition(_SEPARATOR)
    if not separator:
        raise ValueError(
            f"partition key {partition_key!r}: expected a model and a shard, in the form model|shard"
        )
    return model, shard


def shard_key(source_key: str, number: int) -> str:
    """The key of a source's shard."""
    return f"{source_key}-{number:05d}"


def source_of_shard(shard: str) -> str:
    """The key of the source that a shard belongs to."""
    return shard.rpartition("-")[0]


CATALOG_SCHEMA = Step(
    "catalog_schema",
    "catalog",
    PartitionedBy.NOTHING,
    reads=(),
    tables=frozenset(),
    kinds=frozenset({"sql"}),
)
SOURCE_FILES = Step(
    "source_files",
    "photos",
    PartitionedBy.SOURCE,
    reads=(CATALOG_SCHEMA,),
    tables=frozenset({"store", "source", "shard", "image", "ml_job"}),
    kinds=frozenset({"file"}),
    job=JobKind.SCAN,
    title="Scanning",
)
REGISTERED_IMAGES = Step(
    "registered_images",
    "photos",
    PartitionedBy.SHARD,
    reads=(SOURCE_FILES,),
    tables=frozenset({"store", "source", "shard", "image", "image_note", "ml_job", "shard_file"}),
    kinds=frozenset({"pillow"}),
    job=JobKind.REGISTER,
    title="Registering",
    fails_alone=True,
)
IMAGE_EMBEDDINGS = Step(
    "image_embeddings",
    "models",
    PartitionedBy.MODEL_AND_SHARD,
    reads=(REGISTERED_IMAGES,),
    tables=frozenset({"store", "shard", "image", "ml_model", "ml_job", "shard_file"}),
    kinds=frozenset({"torch", "parquet"}),
    job=JobKind.EMBED,
    title="Embedding",
    on_device=True,
    fails_alone=True,
)
VECTOR_INDEX = Step(
    "vector_index",
    "models",
    PartitionedBy.MODEL,
    reads=(IMAGE_EMBEDDINGS,),
    tables=frozenset({"store", "image", "ml_model", "ml_job", "shard_file", "pinned_search"}),
    kinds=frozenset({"lancedb"}),
    job=JobKind.INDEX,
    title="Indexing",
)
IMAGE_EVENTS = Step(
    "image_events",
    "events",
    PartitionedBy.MODEL,
    reads=(VECTOR_INDEX,),
    tables=frozenset({"store", "image", "ml_model", "ml_job", "event", "event_image"}),
    kinds=frozenset({"duckdb"}),
    job=JobKind.CLUSTER,
    title="Finding events",
)
VERIFIED_ORIGINALS = Step(
    "verified_originals",
    "photos",
    PartitionedBy.SHARD,
    reads=(REGISTERED_IMAGES,),
    tables=frozenset({"store", "source", "shard", "image", "ml_job"}),
    kinds=frozenset({"file"}),
    job=JobKind.VERIFY,
    title="Verifying",
    fails_alone=True,
    on_request=True,
)
SERVING_MODEL = Step(
    "serving_model",
    "models",
    PartitionedBy.NOTHING,
    reads=(VECTOR_INDEX,),
    tables=frozenset(
        {"store", "ml_model", "ml_job", "source", "shard", "image", "shard_file", "pinned_search"}
    ),
    kinds=frozenset({"sql"}),
)
LIBRARY_STATUS = Step(
    "library_status",
    "catalog",
    PartitionedBy.NOTHING,
    reads=(CATALOG_SCHEMA,),
    tables=frozenset(),
    kinds=frozenset({"sql"}),
)
MODEL_COMPARISON = Step(
    "model_comparison",
    "models",
    PartitionedBy.MODEL,
    reads=(VECTOR_INDEX, SERVING_MODEL),
    tables=frozenset({"store", "shard", "image", "ml_model", "shard_file", "pinned_search"}),
    kinds=frozenset({"torch", "lancedb"}),
)

STEPS = (
    CATALOG_SCHEMA,
    SOURCE_FILES,
    REGISTERED_IMAGES,
    IMAGE_EMBEDDINGS,
    VECTOR_INDEX,
    IMAGE_EVENTS,
    VERIFIED_ORIGINALS,
    SERVING_MODEL,
    MODEL_COMPARISON,
    LIBRARY_STATUS,
)
JOB_STEPS = {step.job: step for step in STEPS if step.job is not None}
"""The steps that the catalog records as jobs, in order."""
AUTOMATIC_STEPS = tuple(step for step in JOB_STEPS.values() if not step.on_request)
"""The steps that the sensor and `photolineage run` run automatically, and that the check `up_to_date` watches."""
