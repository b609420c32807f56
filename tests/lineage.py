"""A small library on Dagster: its definitions, and an instance on the disk in which their jobs are executed."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    MetadataValue,
    TableMetadataValue,
    define_asset_job,
)
from sqlalchemy import update

from assets.orchestration.build import build_definitions
from assets.orchestration.lineage_run import DEPLOYMENT
from assets.orchestration.partitions import SHARDS, model_shard_key
from photolineage.catalog.orm import Source
from photolineage.settings import load_settings
from photolineage.steps.scan import ensure_source
from photolineage.stores.files import open_files
from photolineage.stores.identity import attach_store
from resources.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from tests.library import Library, draw_photo
from workloads.dagster_ui import partition_tags

CONFIGURATION = "photolineage.toml"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def write_configuration(folder: Path, models: Mapping[str, Path], *, extra: str = "") -> Path:
    """A configuration over the photos in `folder/photos`; home is `folder/home`, the catalog SQLite."""
    sections = "".join(
        f"[models.{key}]\narchitecture = 'local-dir:{model}'\n" for key, model in models.items()
    )
    path = folder / CONFIGURATION
    path.write_text(
        f"home = 'home'\nshard_capacity = 10\ncheckpoint_images = 4\n{extra}"
        f"[sources.photos]\nroot = 'photos'\nremovable = true\n{sections}"
    )
    return path


def change_model(lineage: "Lineage", key: str, folder: Path | None) -> None:
    """Let the configuration have the model of another folder under the key, or none."""
    section = rf"\[models\.{re.escape(key)}\]\n.*\n"
    model = "" if folder is None else f"[models.{key}]\narchitecture = 'local-dir:{folder}'\n"
    lineage.config_file.write_text(re.sub(section, model, lineage.config_file.read_text()))


@dataclass(frozen=True, slots=True)
class Lineage:
    """A library, and the Dagster instance under its home."""

    library: Library
    definitions: Definitions
    instance: DagsterInstance

    @property
    def config_file(self) -> Path:
        return self.library.settings.config_file

    @property
    def home(self) -> Path:
        return self.library.settings.home

    @property
    def shards(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions(str(SHARDS.name)))

    def materialize(
        self,
        asset: str,
        partition_key: str | None = None,
        *,
        partition_range: tuple[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> ExecuteInProcessResult:
        """Run the asset's job for no partition, one, or a range of them as one run of a backfill has it."""
        if partition_range is not None:
            tags = dict(
                zip(
                    (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG),
                    partition_range,
                    strict=True,
                )
            )
        return self.definitions.resolve_job_def(f"materialize_{asset}").execute_in_process(
            instance=self.instance,
            partition_key=partition_key,
            tags=tags,
            run_config=QUIET | ({"ops": {asset: {"config": config}}} if config else {}),
            raise_on_error=False,
        )

    def materialize_embeddings(self, model: str, shard: str) -> ExecuteInProcessResult:
        return self.materialize("image_embeddings", model_shard_key(model, shard))

    def build(self, *models: str) -> None:
        """Materialize everything, for these models."""
        self.must_materialize("catalog_schema")
        self.must_materialize("source_files", "photos")
        for shard in self.shards:
            self.must_materialize("registered_images", shard)
        for model in models:
            for shard in self.shards:
                self.must_materialize("image_embeddings", model_shard_key(model, shard))
            self.must_materialize("vector_index", model)
            self.must_materialize("image_events", model)
        self.must_materialize("serving_model")

    def must_materialize(self, asset: str, partition_key: str | None = None) -> None:
        """Materialize, and raise AssertionError with the reason of a failure."""
        result = self.materialize(asset, partition_key)
        if not result.success:
            raise AssertionError(f"{asset} {partition_key}: {failure_of(result)}")

    def run_check(self, asset: str, name: str, partition_key: str) -> AssetCheckEvaluation:
        """Execute one check of one partition alone, as the UI does."""
        (evaluation,) = self.run_check_of(asset, name, partition_tags(partition_key))
        return evaluation

    def run_check_of(self, asset: str, name: str, tags: Mapping[str, str]) -> list[AssetCheckEvaluation]:
        """Execute one check alone for the partitions that the tags name. The UI's "Execute all" names none."""
        selection = AssetSelection.checks(AssetCheckKey(AssetKey(asset), name))
        jobs = [define_asset_job("one_check", selection=selection)]
        result = (
            Definitions.merge(self.definitions, Definitions(jobs=jobs))
            .resolve_job_def("one_check")
            .execute_in_process(
                instance=self.instance,
                tags=tags,
                run_config=QUIET,
                raise_on_error=False,
            )
        )
        assert result.success, failure_of(result)
        return list(result.get_asset_check_evaluations())

    def evaluations_of(self, run: ExecuteInProcessResult) -> list[AssetCheckEvaluation]:
        """What the instance recorded of the checks of a run. Results of a failed step have no other place."""
        entries = self.instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
        return [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]

    def checks_of(self, run: ExecuteInProcessResult) -> dict[str, AssetCheckEvaluation]:
        """The evaluations of a run of one partition, by the check's name."""
        evaluations = self.evaluations_of(run)
        by_name = {evaluation.check_name: evaluation for evaluation in evaluations}
        assert len(by_name) == len(evaluations)
        return by_name

    def materialized_partitions(self, asset: str) -> set[str]:
        return set(self.instance.get_materialized_partitions(AssetKey(asset)))

    def files(self) -> dict[str, bytes]:
        """Previews, embeddings and indexes: their contents by their path under the home."""
        folders = [self.home / name for name in ("previews", "embeddings", "index")]
        paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.home)): path.read_bytes() for path in paths}

    def rows(self) -> list[str]:
        """The whole catalog as SQL."""
        raw = self.library.engine.raw_connection()
        try:
            return list(raw.driver_connection.iterdump())  # type: ignore[union-attr]
        finally:
            raw.close()

    def miscount(self, partition: str, *, by: int) -> None:
        """Let the first commit record of a partition of `image_embeddings` tell of more rows than its file has."""
        folder = f"embeddings/{partition.replace('|', '/')}/"
        self.execute(
            f"UPDATE shard_file SET row_count = row_count + {by} "
            f"WHERE path = (SELECT min(path) FROM shard_file WHERE path LIKE '{folder}%')"
        )

    def execute(self, *statements: str) -> None:
        """Run SQL on the catalog, as somebody might by hand."""
        with self.library.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@contextmanager
def open_lineage(config_file: Path) -> Iterator[Lineage]:
    """The lineage of a configuration, with the local deployment's instance."""
    settings = load_settings(config_file)
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DEPLOYMENT, settings.dagster_home / "dagster.yaml")
    engine = settings.catalog.open_engine()
    # Not as a context: of two that overlap, the one that ends last would leave Dagster with the other's storage.
    instance = DagsterInstance.from_config(str(settings.dagster_home))
    try:
        yield Lineage(Library(settings, engine), build_definitions(settings), instance)
    finally:
        instance.dispose()
        engine.dispose()


def copy_library(source: Path, target: Path) -> Path:
    """A copy of a library's folder, photos included; the configuration of the copy."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    config_file = target / CONFIGURATION
    settings = load_settings(config_file)
    if (settings.home / "catalog.db").exists():
        engine = settings.catalog.open_engine()
        attach_store(engine, open_files(settings))
        ensure_source(engine, "photos", settings.sources["photos"].root)
        with engine.begin() as connection:  # the sensor must not find the scan of an old library due
            connection.execute(update(Source).values(scanned_at=datetime.now(UTC)))
        engine.dispose()
    return config_file


def metadata_of(result: ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the one materialization of a run, as plain values."""
    (materialization,) = [event for event in result.all_events if event.is_step_materialization]
    return plain(materialization.materialization.metadata)


def plain(metadata: Mapping[str, MetadataValue[Any]]) -> dict[str, Any]:
    """Metadata as plain values: a table is the list of its rows."""
    return {
        name: [record.data for record in value.records]
        if isinstance(value, TableMetadataValue)
        else value.value
        for name, value in metadata.items()
    }


def differences(check: AssetCheckEvaluation) -> list[Mapping[str, Any]]:
    """The rows of a check's table of differences."""
    table = check.metadata["differences"]
    assert isinstance(table, TableMetadataValue)
    return [record.data for record in table.records]


def failure_of(result: ExecuteInProcessResult) -> str:
    """What a person reads about a failed run: the description of a Failure, else the error of the step."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    data = failed.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    assert error is not None
    return str((error.cause or error).message)


def steps_of(result: ExecuteInProcessResult) -> Sequence[str]:
    """The types of the events of a run."""
    return [event.event_type_value for event in result.all_events]


@contextmanager
def registered_shard(folder: Path, model: Path, photos: int) -> Iterator[Lineage]:
    """A library of one shard of drawn photos, registered and not embedded, with the model `tiny-a`."""
    for number in range(photos):
        draw_photo(folder / f"photos/{number:03}.jpg", number)
    config = write_configuration(folder, {"tiny-a": model})
    config.write_text(config.read_text().replace("shard_capacity = 10", f"shard_capacity = {photos}"))
    with open_lineage(config) as lineage:
        lineage.must_materialize("catalog_schema")
        lineage.must_materialize("source_files", "photos")
        lineage.library.register_all()
        yield lineage
