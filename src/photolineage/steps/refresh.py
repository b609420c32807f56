"""What to materialize so that nothing is stale: the stale partitions, and what depends on them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from photolineage.catalog.queries import materialized_versions, shard_keys
from photolineage.lineage import (
    IMAGE_EMBEDDINGS,
    JOB_STEPS,
    JobKind,
    Step,
    partition_subject,
)
from photolineage.steps.freshness import (
    UNSCANNED_FOR,
    LostFiles,
    find_stale_embeddings,
    find_stale_models,
    find_stale_shards,
    find_stale_sources,
)


def plan_refresh(
    connection: Connection,
    source_keys: Sequence[str],
    model_keys: Sequence[str],
    lost: LostFiles,
    *,
    missing: bool = False,
) -> dict[Step, list[str]]:
    """The partitions to materialize, by step in the order of the lineage; steps without any are left out.

    Only these sources are scanned, and only their shards are registered. What a scan will find is not in the plan.
    `missing`: also partitions that were never materialized.
    """
    unscanned = [one.subject for one in find_stale_sources(connection, source_keys, UNSCANNED_FOR)]
    there = set(shard_keys(connection, source_keys))
    stale = {one.subject for one in find_stale_shards(connection, lost)} & there
    shards = _known(connection, JobKind.REGISTER, sorted(stale), missing)
    embeddings = {one.subject for one in find_stale_embeddings(connection, model_keys, lost)}
    embeddings |= {partition_subject(model, shard) for model in model_keys for shard in shards}
    to_embed = _known(connection, JobKind.EMBED, sorted(embeddings), missing)
    outdated = {IMAGE_EMBEDDINGS.subject(subject).model for subject in to_embed}
    scans = _known(connection, JobKind.SCAN, unscanned, missing)
    plan = {JobKind.SCAN: scans, JobKind.REGISTER: shards, JobKind.EMBED: to_embed}
    for kind in (JobKind.INDEX, JobKind.CLUSTER):
        outdated |= {one.subject for one in find_stale_models(connection, model_keys, kind, lost)}
        models = [model for model in model_keys if model in outdated]
        plan[kind] = _known(connection, kind, models, missing)
    return {step: plan[kind] for kind, step in JOB_STEPS.items() if plan.get(kind)}


def _known(connection: Connection, kind: JobKind, subjects: Sequence[str], missing: bool) -> list[str]:
    before: Mapping[str, str] = {} if missing else materialized_versions(connection, kind)
    return [subject for subject in subjects if missing or subject in before]
