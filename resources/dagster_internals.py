"""Every name that this project uses and that is not in Dagster's public API. A test keeps them out of other modules.

Each comment says why the name is needed, and what to do if a release of Dagster removes it.
"""

from types import ModuleType

# Which materialization an evaluation is about. If it is removed: see what `AssetCheckResult` records.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

# The partitions of a backfill. If it is removed: see `PartitionBackfill`.
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset

# With `execute_run`, runs a job in this process. If it is removed: see what the public `execute_in_process` does.
from dagster._core.definitions.job_base import InMemoryJob

# The type that `define_asset_job` returns. If it is removed: use the type in the function's new signature.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# An error of this type brings its own description, which Dagster records in place of a stack trace. If it is removed:
# the runs that somebody ends show a stack trace again.
from dagster._core.errors import DagsterUserCodeProcessError

# The results of a check of one partition. If it is removed: see how the event log storage filters them.
from dagster._core.event_api import PartitionKeyFilter

# Distinguish an interrupted run from a failed one, and a failure with an error from one without. If one is removed:
# compare the reason with UNEXPECTED_TERMINATION, and see what a RUN_FAILURE event holds.
from dagster._core.events import JobFailureData, RunFailureReason

# Executes a run that was made before. `execute_in_process` makes its run itself, without a code location: the UI cannot
# re-execute such a run and leaves it out of the timeline. If it is removed: see what `execute_in_process` does.
from dagster._core.execution.api import execute_run

# A backfill of several assets, as the UI launches it, and which ones go on. If they are removed: use GraphQL, as the UI
# does.
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill

# The types of a run launcher. If they are removed: use the types in the methods of the public `DefaultRunLauncher`.
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus

# The code location of a run. If it is removed: see how `dagster job launch` makes a run.
from dagster._core.remote_origin import RemoteRepositoryOrigin

# The newest records of checks. If they are removed: use the types in the event log storage's new methods.
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

# Tags that Dagster sets on runs or reads from them. If one is removed: write its value, which the UI shows.
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MAX_RETRIES_TAG,
    PARENT_RUN_ID_TAG,
    PARTITION_NAME_TAG,
    RETRY_NUMBER_TAG,
    WILL_RETRY_TAG,
)

# The id of a backfill. If it is removed: look how Dagster's GraphQL makes one.
from dagster._core.utils import make_new_backfill_id

# Reads the code location in workspace.yaml. If it is removed: see how `dagster job launch` reads it.
from dagster._core.workspace.load import location_origins_from_yaml_paths

# Makes the command line of a run's process. If it is removed: see what dagster-docker and dagster-k8s use.
from dagster._grpc.types import ExecuteRunArgs

# The description of an error. If it is removed: see what `DagsterUserCodeProcessError` holds.
from dagster_shared.error import SerializableErrorInfo

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "MAX_RETRIES_TAG",
    "PARENT_RUN_ID_TAG",
    "PARTITION_NAME_TAG",
    "RETRY_NUMBER_TAG",
    "WILL_RETRY_TAG",
    "AssetCheckEvaluationTargetMaterializationData",
    "AssetCheckExecutionRecord",
    "AssetCheckExecutionRecordStatus",
    "AssetGraphSubset",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CheckRunHealthResult",
    "DagsterUserCodeProcessError",
    "ExecuteRunArgs",
    "InMemoryJob",
    "JobFailureData",
    "LaunchRunContext",
    "PartitionBackfill",
    "PartitionKeyFilter",
    "RemoteRepositoryOrigin",
    "RunFailureReason",
    "SerializableErrorInfo",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
    "dev_command_module",
    "execute_run",
    "location_origins_from_yaml_paths",
    "make_new_backfill_id",
]


def dev_command_module() -> ModuleType:
    """The module of `dagster dev`, whose `open_ipc_subprocess` starts the web server.

    The guarded UI starts its own web server instead. If it is removed: start web server, daemon and code server as the
    new `dagster dev` does.
    """
    from dagster._cli import dev

    return dev
