"""Every name that the tests use and Dagster does not publish; the project's own are in the module that it names.

`resources.dagster_internals` holds those of the project. Each has the reason it is needed, and what to do
when a release of Dagster no longer has it.
"""

# Cuts the partitions of a backfill into runs as the daemon does. If it goes: launch the backfill in a real UI.
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)

# Computes the label "Unsynced". If it is removed: ask a real UI for the `staleStatus` of a partition.
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.definitions.events import AssetKeyPartitionKey

# Lets code outside of a run ask dynamic partitions for their keys. If it goes: pass the instance where keys are asked.
from dagster._core.definitions.partitions.context import partition_loading_context

# Says where the code of a job is, to launch a run of it. If it goes: launch that run in a real UI.
from dagster._core.definitions.reconstruct import ReconstructableRepository

# What `SensorDefinition.evaluate_tick` returns. If it goes: use the type that the signature then names.
from dagster._core.definitions.sensor_definition import SensorExecutionData

# How the daemon decides whether it starts a failed run again. If it goes: kill a run in a real UI.
from dagster._core.execution.retries import auto_reexecution_should_retry_run

# What `CachingStaleStatusResolver` loads records with.
from dagster._core.loader import LoadingContextForTest

# What a run coordinator is given. If they go: submit the run through a real UI.
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator import SubmitRunContext

__all__ = [
    "AssetKeyPartitionKey",
    "CachingStaleStatusResolver",
    "LoadingContextForTest",
    "ReconstructableRepository",
    "RegisteredCodeLocationOrigin",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "SensorExecutionData",
    "StaleStatus",
    "SubmitRunContext",
    "auto_reexecution_should_retry_run",
    "build_run_requests_with_backfill_policies",
    "partition_loading_context",
]
