"""The data versions that Dagster compares for its label "Unsynced", made from the versions that Photolineage compares.

Without them Dagster would take every materialization for new data, and call all that depends on it unsynced.
"""

from dagster import AssetKey, DagsterInstance
from sqlalchemy import Connection

from photolineage.catalog.queries import materialized_version, newest_file_ids
from photolineage.catalog.vocabulary import FileKind
from photolineage.lineage import JobKind, Step

DATA_VERSION_TAG = "dagster/data_version"


def data_version(connection: Connection, step: Step, partition_key: str) -> str | None:
    """The version of what a partition now contains; None for a step that the catalog does not record.

    The shards of a source change one by one, but Dagster has one version for the whole source. So a source always has
    the same version: a label that is missing misleads less than a label on every shard.
    """
    if step.job is None:
        return None
    if step.job is JobKind.SCAN:
        return partition_key
    version = materialized_version(connection, step.job, partition_key)
    subject = step.subject(partition_key)
    if step.job is JobKind.EMBED and subject.model is not None and subject.shard is not None:
        newest = newest_file_ids(connection, FileKind.EMBEDDING, subject.model)
        return f"{version}-{newest.get(subject.shard)}"
    return version


def input_tags(instance: DagsterInstance, step: Step, run_id: str) -> dict[str, str]:
    """The tags that record on a materialization which inputs it was made from: all that are there now.

    Dagster sets them itself, except on materializations that a run logs.
    """
    tags = {"dagster/code_version": run_id}
    for upstream in step.reads:
        records = instance.fetch_materializations(AssetKey(upstream.name), limit=1).records
        newest = str(records[0].storage_id) if records else "NULL"
        tags[f"dagster/input_event_pointer/{upstream.name}"] = newest
        tags[f"dagster/input_data_version/{upstream.name}"] = (
            newest  # Dagster compares it for no partitioned input
        )
    return tags
