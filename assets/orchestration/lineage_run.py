"""Runs the whole lineage step by step in this process, recorded in the Dagster instance."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from dagster import DagsterExecutionInterruptedError, DagsterInstance, Definitions, MetadataValue
from sqlalchemy import Engine

from assets.orchestration.build import build_definitions
from assets.orchestration.checked_run import CONTINUE
from assets.orchestration.dead_runs import fail_dead_runs
from assets.orchestration.home_locks import lock_server, only_run, server_is_running
from assets.orchestration.partitions import dagster_key
from assets.orchestration.recorded_run import cause, cause_class, execute_recorded, was_interrupted
from photolineage.catalog.engine import reading, require_reachable
from photolineage.catalog.leases import LeaseHeldError, find_holder
from photolineage.catalog.migrate import catalog_revision
from photolineage.catalog.queries import serving_model_key, shard_keys, shard_sizes
from photolineage.errors import PhotolineageError, RunInterruptedError
from photolineage.lineage import (
    AUTOMATIC_STEPS,
    CATALOG_SCHEMA,
    REGISTERED_IMAGES,
    SERVING_MODEL,
    SOURCE_FILES,
    PartitionedBy,
    Step,
)
from photolineage.plain_text import printable
from photolineage.settings import Settings
from photolineage.steps.freshness import find_stale_partitions
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.register import find_shards_with_failures
from photolineage.steps.tree_walk import SourceUnavailableError
from photolineage.stores.files import open_files
from photolineage.stores.identity import attach_store
from photolineage.stores.root_folder import RootFolder
from photolineage.stores.vector_index import VectorIndexes
from resources.own_server import mark_own_server
from resources.progress import ProgressSink

DEPLOYMENT = Path(__file__).parents[2] / "deploy" / "local" / "dagster.yaml"
LISTED_FAILURES = 10
SECONDS_BETWEEN_LOOKS = 1.0


class StepFailedError(PhotolineageError):
    """A step of the lineage failed; the message is the cause."""


class SourceAwayError(StepFailedError):
    """A source is unavailable, for example its disk is unplugged; its images are kept as they were."""


class PartitionHeldError(StepFailedError):
    """Another run works on the partition."""


FAILURES: dict[str | None, type[StepFailedError]] = {
    SourceUnavailableError.__name__: SourceAwayError,
    LeaseHeldError.__name__: PartitionHeldError,
}
"""The failure of a step, by the class of the error that caused it."""


class StepProgress(ProgressSink, Protocol):
    """Shows the progress of one step after the other, over all its partitions."""

    def begin(self, title: str, images: int | None) -> None:
        """A step begins. `images`: how many it will process; None if unknown."""
        ...

    def end(self) -> None:
        """The step has ended."""
        ...

    def say(self, message: str) -> None:
        """Show a message to the person who waits."""
        ...


@dataclass(slots=True)
class RunReport:
    """Which partitions were materialized, by asset.

    `unavailable`: by source, why it is unavailable. `away`: by available source, which of its folders are missing and
    why their images are kept as they were. `links`: which links were not followed. `unreadable`: what cannot be read.
    """

    materialized: dict[str, list[str]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    away: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything was up to date, so that the run only scanned."""
        return not any(asset != SOURCE_FILES.name for asset in self.materialized)


def prepare_dagster_home(settings: Settings) -> Path:
    """Create the folder of the Dagster instance, with the local configuration, and set `DAGSTER_HOME` to it."""
    root, home = RootFolder(settings.home), settings.dagster_home
    root.require_no_links(
        home.name, depth=1
    )  # Dagster follows links when it writes its logs and removes runs
    if root.size(f"{home.name}/{DEPLOYMENT.name}") is None:
        root.write_bytes(f"{home.name}/{DEPLOYMENT.name}", DEPLOYMENT.read_bytes())
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def prepare_server(settings: Settings) -> list[str]:
    """Prepare the instance for the UI, and return the ids of the dead runs that were marked as failed.

    Raises ServerRunningError, CatalogUnreachableError and ForeignStoreError.
    """
    lock_server(prepare_dagster_home(settings))
    engine = settings.catalog.open_engine()
    require_reachable(engine)
    attach_store(engine, open_files(settings))
    with DagsterInstance.get() as instance:
        return fail_dead_runs(instance, server_running=False)


def run_lineage(
    settings: Settings,
    source_keys: Sequence[str],
    model_keys: Sequence[str],
    progress: StepProgress,
    *,
    retry_failed: bool = False,
    wait: bool = True,
) -> RunReport:
    """Bring sources and models up to date, from the disk to the events.

    Materializes only stale partitions; with `retry_failed` also reads the unreadable images again. After an
    unavailable source or a failed shard, the other sources and shards go on; an index is built only if all shards
    succeeded. If a run of the UI works on a partition, the other partitions go on, and then this run waits for it.

    Raises StepFailedError, also if no source is available, and RunInterruptedError. Raises AnotherRunError if another
    call works in the same home, unless this one should `wait`.
    """
    mark_own_server()
    dagster_home = prepare_dagster_home(settings)
    engine = settings.catalog.open_engine()
    require_reachable(engine)
    attach_store(engine, open_files(settings))
    with only_run(settings.home, progress.say if wait else None), DagsterInstance.get() as instance:
        fail_dead_runs(instance, server_running=server_is_running(dagster_home))
        run = _LineageRun(settings, build_definitions(settings, progress), instance, engine, progress)
        return run.execute(source_keys, model_keys, retry_failed=retry_failed)


@dataclass
class _LineageRun:
    settings: Settings
    definitions: Definitions
    instance: DagsterInstance
    engine: Engine
    progress: StepProgress
    report: RunReport = field(default_factory=RunReport)
    failures: list[StepFailedError] = field(default_factory=list)

    def execute(
        self, source_keys: Sequence[str], model_keys: Sequence[str], *, retry_failed: bool
    ) -> RunReport:
        with reading(self.engine) as connection:
            current = catalog_revision(connection).is_current
        if not current:
            self._materialize(CATALOG_SCHEMA)
        source_keys = self._scan(source_keys)
        with reading(self.engine) as connection:
            sizes = shard_sizes(connection)
            mine = {shard: sizes[shard] for shard in shard_keys(connection, source_keys)}
            again = find_shards_with_failures(connection, source_keys) if retry_failed else []
        if not mine:
            raise StepFailedError(self._no_images(source_keys))
        images = sum(sizes[shard] for shard in again)
        self._step(
            REGISTERED_IMAGES, "Reading unreadable images again", again, images, {"retry_failed": True}
        )
        steps = AUTOMATIC_STEPS
        by_shard = [step for step in steps if step.partitioned_by is PartitionedBy.SHARD]
        # Twice: reading finds files that changed since the scan, and their shards are stale again.
        for step in by_shard * 2:
            self._bring_up_to_date(step, mine)
        for number, model in enumerate(model_keys, 1):
            of = f" (model {number} of {len(model_keys)})" if len(model_keys) > 1 else ""
            for step in [step for step in steps if step.needs_model]:
                if step.partitioned_by is PartitionedBy.MODEL and self.failures:
                    break  # an index is built only if all shards succeeded
                self._bring_up_to_date(step, mine, model, of)
        with reading(self.engine) as connection:
            serving = serving_model_key(connection)
        if serving is None and model_keys and mine and not self.failures:
            self._materialize(SERVING_MODEL, config={"model": model_keys[0]})
        self._raise_failures()
        return self.report

    def _no_images(self, source_keys: Sequence[str]) -> str:
        from photolineage.media import SUPPORTED_SUFFIXES

        roots = ", ".join(printable(self.settings.sources[key].root) for key in source_keys)
        return (
            f"no images were found in {roots}. Name the folder that contains the photos, or change the source's "
            "`exclude` and `hidden` settings. The name of an image ends in one of "
            f"{' '.join(sorted(SUPPORTED_SUFFIXES))}"
        )

    def _raise_failures(self) -> None:
        if len(self.failures) == 1:
            raise self.failures[0]
        if self.failures:
            listed = [str(failure) for failure in self.failures[:LISTED_FAILURES]]
            more = len(self.failures) - len(listed)
            raise StepFailedError(
                "\n- ".join([f"{len(self.failures)} partitions failed. The others succeeded.", *listed])
                + (f"\n- … and {more} more" if more else "")
            )

    def _scan(self, source_keys: Sequence[str]) -> list[str]:
        """Scan the sources, and return the keys of those that are available."""
        available = []
        for key in source_keys:
            try:
                self._step(SOURCE_FILES, SOURCE_FILES.title, [key])
                available.append(key)
            except SourceAwayError as error:
                self.report.unavailable[key] = str(error)
                if len(self.report.unavailable) == len(source_keys):
                    raise
        return available

    def _bring_up_to_date(
        self, step: Step, mine: Mapping[str, int], model: str | None = None, of: str = ""
    ) -> None:
        """Materialize the stale partitions of a step: those of `model`, if given, and of the shards in `mine`."""
        stale = [key for key in self._stale(step, model) if step.subject(key).shard in {None, *mine}]
        sizes = [mine[shard] for key in stale if (shard := step.subject(key).shard) is not None]
        title = step.title if model is None else f"{step.title} with {model}{of}"
        self._step(step, title, stale, sum(sizes) if sizes else None, still=lambda: self._stale(step, model))

    def _stale(self, step: Step, model: str | None) -> list[str]:
        models = [] if model is None else [model]
        with reading(self.engine) as connection:
            lost = find_lost_files(
                connection, open_files(self.settings), VectorIndexes(self.settings.home), models
            )
            return [one.subject for one in find_stale_partitions(connection, step, models, lost)]

    def _step(
        self,
        step: Step,
        title: str,
        subjects: Sequence[str],
        images: int | None = None,
        config: dict[str, Any] | None = None,
        still: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """Materialize partitions. Those that another run has materialized meanwhile are not in `still()` any more."""
        if not subjects:
            return
        self.progress.begin(title, images)
        try:
            left = list(subjects)
            while left:
                held = [
                    subject for subject in left if not self._materialize_unless_held(step, subject, config)
                ]
                if held:
                    self._wait_for_one(step, held)
                stale = set(held) if still is None else set(still())
                left = [subject for subject in held if subject in stale]
        finally:
            self.progress.end()

    def _materialize_unless_held(self, step: Step, subject: str, config: dict[str, Any] | None) -> bool:
        """Materialize a partition. False if another run works on it."""
        if self._holder(step, subject) is not None:
            return False
        try:
            self._materialize(step, dagster_key(step, subject), config)
        except PartitionHeldError:  # taken just now
            return False
        except StepFailedError as failure:
            if not step.fails_alone:
                raise
            self.failures.append(failure)
        return True

    def _holder(self, step: Step, subject: str) -> str | None:
        assert step.job is not None
        timeout = timedelta(seconds=self.settings.lease_timeout_seconds)
        with reading(self.engine) as connection:
            return find_holder(connection, step.job, subject, timeout)

    def _wait_for_one(self, step: Step, subjects: Sequence[str]) -> None:
        """Wait until another run has ended its work on one of these partitions, and say for whom we wait."""
        told = False
        while all(holders := [self._holder(step, subject) for subject in subjects]):
            if not told:
                self.progress.say(f"Waiting for {step.name} {subjects[0]}: {holders[0]}.")
                told = True
            try:
                time.sleep(SECONDS_BETWEEN_LOOKS)
            except KeyboardInterrupt as interruption:
                raise RunInterruptedError(f"waiting for {step.name} {subjects[0]}") from interruption

    def _materialize(
        self, step: Step, partition_key: str | None = None, config: dict[str, Any] | None = None
    ) -> None:
        run_config = {} if config is None else {"ops": {step.name: {"config": config}}}
        try:
            result = execute_recorded(
                self.definitions, self.instance, step.job_name, partition_key, run_config
            )
        except (KeyboardInterrupt, DagsterExecutionInterruptedError) as interruption:
            raise RunInterruptedError(str(interruption) or "interrupted") from interruption
        if was_interrupted(result):
            raise RunInterruptedError(cause(result).removesuffix(CONTINUE))
        if not result.success:
            failure = FAILURES.get(cause_class(result), StepFailedError)
            raise failure(f"{step.name} {partition_key or ''}: {cause(result)}")
        self.report.materialized.setdefault(step.name, []).append(partition_key or step.name)
        if step == SOURCE_FILES:
            for event in result.get_asset_materialization_events():
                self._note_scan(str(partition_key), event.materialization.metadata)

    def _note_scan(self, source: str, metadata: Mapping[str, MetadataValue[Any]]) -> None:
        for kind, said_of in (
            ("away", self.report.away),
            ("links", self.report.links),
            ("unreadable", self.report.unreadable),
        ):
            if said := metadata[kind].value:
                said_of[source] = str(said)
