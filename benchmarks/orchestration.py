"""Measures the overhead of Dagster: `python -m benchmarks.orchestration [--json]`.

The catalog has 5,000 shards, each embedded with three models, behind a real `photolineage ui`. Measured are a run of a
partition without work (from the request to its success, without the wait in the queue), loading the definitions, a tick
of the sensor, and the query of the partitions page.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from dagster import AssetMaterialization, DagsterInstance
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, insert

from assets.orchestration.lineage_run import prepare_dagster_home
from assets.orchestration.partitions import SHARDS
from photolineage.catalog.engine import run_in_transaction
from photolineage.catalog.migrate import upgrade
from photolineage.catalog.orm import MlJob, Shard, Source
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind, partition_subject
from photolineage.settings import CONFIG_VARIABLE, Settings, load_settings
from workloads import REPOSITORY_ROOT
from workloads.dagster_ui import REPOSITORY, DagsterUi, running_ui

MODELS = ("first", "second", "third")
REPEATED = 5
LAUNCH = """mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""
RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run {
  status creationTime stats { ... on RunStatsSnapshot { launchTime endTime } }
} } }"""
TICK = """mutation($sensor: SensorSelector!) { sensorDryRun(selectorData: $sensor, cursor: null) {
  __typename ... on DryRunInstigationTick { evaluationResult { skipReason error { message } runRequests { runKey } } }
} }"""
PARTITIONS = """query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
  partitionKeysByDimension { name partitionKeys }
  assetPartitionStatuses { ... on MultiPartitionStatuses { primaryDimensionName ranges {
    primaryDimStartKey primaryDimEndKey secondaryDim { ... on PartitionStatus1D {
      ... on DefaultPartitionStatuses { materializedPartitions }
    } }
  } } }
} } }"""


@dataclass(frozen=True, slots=True)
class Report:
    """Medians in seconds. `cold` is the first query."""

    shards: int
    models: int
    definitions_load: float
    empty_partition_beyond_queue: float
    empty_partition_in_all: float
    sensor_tick: float
    partitions_page_cold: float
    partitions_page: float


def fill_catalog(engine: Engine, shards: list[str]) -> None:
    """Insert empty shards, each registered and embedded with every model."""
    now = datetime.now(UTC)
    done = {
        "run_id": "benchmark", "host": "here", "pid": 1, "process_started_at": 0.0, "state": JobState.SUCCEEDED,
        "input_version": "0", "total": 0, "done": 0, "resumed": 0, "failed": 0, "started_at": now,
        "heartbeat_at": now, "finished_at": now,
    }  # fmt: skip
    subjects = [(JobKind.REGISTER, shard) for shard in shards]
    subjects += [(JobKind.EMBED, partition_subject(model, shard)) for model in MODELS for shard in shards]
    source = {"key": "photos", "root": "photos", "created_at": now, "scanned_at": now}

    def fill(connection: Connection) -> None:
        source_id = connection.execute(insert(Source).values(**source).returning(Source.id)).scalar_one()
        rows = [
            {
                "source_id": source_id,
                "number": number,
                "key": key,
                "capacity": 1,
                "image_count": 0,
                "revision": 0,
            }
            for number, key in enumerate(shards)
        ]
        connection.execute(insert(Shard), rows)
        connection.execute(
            insert(MlJob), [{"kind": kind, "subject": subject} | done for kind, subject in subjects]
        )

    run_in_transaction(engine, fill)


def prepare(folder: Path, shard_count: int) -> Settings:
    """Prepare the configuration, the catalog, and a Dagster instance in which all partitions are materialized."""
    (folder / "photos").mkdir()
    weights = REPOSITORY_ROOT / "src" / "photolineage" / "demo" / "models" / "demo-clip-v1"
    models = "".join(f"[models.{key}]\narchitecture = 'local-dir:{weights}'\n" for key in MODELS)
    config = folder / "photolineage.toml"
    config.write_text(f"home = 'home'\n[sources.photos]\nroot = 'photos'\n{models}")
    settings = load_settings(config)
    shards = [f"photos-{number:05d}" for number in range(shard_count)]
    engine = settings.catalog.open_engine()
    upgrade(engine)
    fill_catalog(engine, shards)
    engine.dispose()
    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(SHARDS.name), shards)
        for model in MODELS:
            for shard in shards:
                instance.report_runless_asset_event(
                    AssetMaterialization("image_embeddings", partition=partition_subject(model, shard))
                )
    return settings


def seconds(work: Callable[[], object]) -> float:
    """The seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def load_definitions(settings: Settings) -> None:
    """Load the definitions as the code server does at its start and at each reload."""
    code = "import definitions; definitions.defs.get_repository_def().get_all_jobs()"
    environment = os.environ | {CONFIG_VARIABLE: str(settings.config_file)}
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY_ROOT, env=environment, check=True)


def run_empty_partition(ui: DagsterUi, shard: str) -> tuple[float, float]:
    """Seconds of a run of a partition without work: without the wait in the queue, and in total."""
    launched = ui.query(
        LAUNCH,
        params={
            "selector": REPOSITORY | {"pipelineName": "materialize_registered_images"},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": shard}]},
        },
    )["launchPipelineExecution"]
    run_id = launched["run"]["runId"]

    def ended() -> dict[str, object] | None:
        run: dict[str, object] = ui.query(RUN, id=run_id)["runOrError"]
        return run if run["status"] in {"SUCCESS", "FAILURE", "CANCELED"} else None

    run = ui.wait_for(ended, seconds=120, what=shard)
    if run["status"] != "SUCCESS":
        raise RuntimeError(f"the run of {shard} ended with {run['status']}")
    stats = run["stats"]
    assert isinstance(stats, dict)
    return stats["endTime"] - stats["launchTime"], stats["endTime"] - float(str(run["creationTime"]))


def tick(ui: DagsterUi) -> None:
    """An idle tick: the sensor looks at everything and requests only the index."""
    answer = ui.query(TICK, sensor=REPOSITORY | {"sensorName": "stale_partitions"})["sensorDryRun"]
    if answer["evaluationResult"]["error"]:
        raise RuntimeError(answer["evaluationResult"]["error"]["message"])


def measure(folder: Path, shard_count: int) -> Report:
    """Run the whole measurement in a new folder."""
    settings = prepare(folder, shard_count)
    loads = [seconds(lambda: load_definitions(settings)) for _ in range(REPEATED)]
    with running_ui(settings.config_file, folder / "ui.log") as ui:
        pages = [
            seconds(lambda: ui.query(PARTITIONS, asset={"path": ["image_embeddings"]}))
            for _ in range(REPEATED)
        ]
        ticks = [seconds(lambda: tick(ui)) for _ in range(REPEATED)]
        runs = [run_empty_partition(ui, f"photos-{number:05d}") for number in range(REPEATED)]
    return Report(
        shards=shard_count,
        models=len(MODELS),
        definitions_load=statistics.median(loads),
        empty_partition_beyond_queue=statistics.median(beyond for beyond, _ in runs),
        empty_partition_in_all=statistics.median(in_all for _, in_all in runs),
        sensor_tick=statistics.median(ticks),
        partitions_page_cold=pages[0],
        partitions_page=statistics.median(pages[1:]),
    )


def main(
    shards: Annotated[int, typer.Option(help="Shards in the library.")] = 5_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure in a temporary folder."""
    with tempfile.TemporaryDirectory(
        prefix="photolineage-orchestration-", ignore_cleanup_errors=True
    ) as folder:
        report = asdict(measure(Path(folder), shards))
    if as_json:
        print(json.dumps({name: round(value, 3) for name, value in report.items()}, indent=2))
        return
    table = Table("figure", "seconds")
    for name, value in report.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
