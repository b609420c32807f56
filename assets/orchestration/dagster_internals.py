"""Every name that this project uses and Dagster does not publish. A test keeps them out of all other modules.

Each has the reason it is needed, and what to do when a release of Dagster no longer has it.
"""

# Tests launch a run with it: it says where the code of a job is. If it goes: launch that run in a real UI.
from dagster._core.definitions.reconstruct import ReconstructableRepository

# Tests annotate with it what `SensorDefinition.evaluate_tick` returns. If it goes: use the type that this then names.
from dagster._core.definitions.sensor_definition import SensorExecutionData

# What `define_asset_job` returns. If it goes: use the type that the signature then names.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# Tells an interrupted run from a failed one. If it goes: compare the reason with the text "UNEXPECTED_TERMINATION".
from dagster._core.events import RunFailureReason

# What a run launcher gets and returns. If they go: use the types in the methods of the public `DefaultRunLauncher`.
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus

# Tags that Dagster sets on runs or reads from them. If one goes: write its value, which the UI shows with every run.
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MAX_RETRIES_TAG,
    PARTITION_NAME_TAG,
    RETRY_NUMBER_TAG,
    ROOT_RUN_ID_TAG,
    WILL_RETRY_TAG,
)

# Makes the command line of a run's process. If it goes: use what the launchers of dagster-docker and dagster-k8s use.
from dagster._grpc.types import ExecuteRunArgs

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "MAX_RETRIES_TAG",
    "PARTITION_NAME_TAG",
    "RETRY_NUMBER_TAG",
    "ROOT_RUN_ID_TAG",
    "WILL_RETRY_TAG",
    "CheckRunHealthResult",
    "ExecuteRunArgs",
    "LaunchRunContext",
    "ReconstructableRepository",
    "RunFailureReason",
    "SensorExecutionData",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
]
