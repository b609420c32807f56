"""Every name that this project uses and Dagster does not publish. A test keeps them out of all other modules.

Each has the reason it is needed, and what to do when a release of Dagster no longer has it.
"""

from types import ModuleType

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
    "RunFailureReason",
    "UnresolvedAssetJobDefinition",
    "WorkerStatus",
    "dev_command_module",
]


def dev_command_module() -> ModuleType:
    """The module of `dagster dev`, whose `open_ipc_subprocess` starts the web server.

    The guarded UI starts its own web server in its place. If it goes: start web server, daemon and code server as the
    new `dagster dev` does.
    """
    from dagster._cli import dev

    return dev
