"""Measures `photolineage status` and a tick of the sensor with a catalog of millions of images.

    python -m benchmarks.scale [--json] [--images N] [--postgresql]

The catalog has real rows and files without content (`workloads.large_catalog`). One model has embedded everything, one
has embedded every shard before it changed, and one has embedded half. The counts of `status` are compared with a count
image by image. Each of the two runs in a separate process. `status` includes the start of its process, a tick does not,
because the daemon is already running.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.postgresql_server import postgresql_server
from photolineage.settings import load_settings
from workloads.large_catalog import MODELS, SOURCES, LargeCatalog

Figures = dict[str, Any]

LIMITS = {
    "status": {"seconds": 2.0, "peak_memory_gb": 2.0},
    "sensor_tick": {"seconds": 5.0},
}
ROOT = Path(__file__).parents[1]


def measure_status(config: Path) -> Figures:
    """Seconds of `photolineage status` from the start to the end of its process."""
    command = [sys.executable, "-c", "from photolineage.cli import main; main()", "status", "--json"]
    begin = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PHOTOLINEAGE_CONFIG": str(config)},
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.perf_counter() - begin
    status = json.loads(done.stdout)
    return {
        "seconds": seconds,
        "to_register": sum(source["discovered"] for source in status["sources"]),
        "to_embed": {
            model["key"]: (model["embeddable"] - model["committed_embeddings"], model["shards_left"])
            for model in status["models"]
        },
    }


def measure_sensor_tick(config: Path) -> Figures:
    """Seconds of one evaluation of the sensor, and the number of runs that it requests."""
    from dagster import DagsterInstance, SensorEvaluationContext

    from assets.orchestration.build import build_definitions
    from assets.orchestration.partitions import SHARDS
    from photolineage.catalog.queries import shard_keys
    from resources.home import catalog_resource, storage_resource

    settings = load_settings(config)
    definitions = build_definitions(settings)
    with settings.catalog.open_engine().connect() as connection:
        shards = shard_keys(connection)
    resources: dict[str, Any] = {
        "catalog": catalog_resource(settings),
        "storage": storage_resource(settings),
        "settings": settings,
    }
    with tempfile.TemporaryDirectory() as home, DagsterInstance.local_temp(home) as instance:
        instance.add_dynamic_partitions(str(SHARDS.name), shards)
        context = SensorEvaluationContext(
            instance_ref=instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=None,
            repository_name=None,
            resources=resources,
            definitions=definitions,
        )
        with context:
            begin = time.perf_counter()
            tick = definitions.resolve_sensor_def("stale_partitions").evaluate_tick(context)
            seconds = time.perf_counter() - begin
    return {"seconds": seconds, "runs_asked_for": len(tick.run_requests or [])}


PROBES = {"status": measure_status, "sensor_tick": measure_sensor_tick}


def measured(images: int, *, on_postgresql: bool) -> Figures:
    """Make the catalog and measure each probe. Returns the figures with their limits."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/catalog.db"
        if on_postgresql:
            url = stack.enter_context(postgresql_server()).render_as_string(hide_password=False)
        config = _write_configuration(folder, url)
        library = LargeCatalog(images)
        begin = time.perf_counter()
        _in_a_process("build", config, images)
        made = time.perf_counter() - begin
        figures = {name: _in_a_process(name, config, images) for name in PROBES}
    _require_right(figures["status"], library)
    return {
        "database": "postgresql" if on_postgresql else "sqlite",
        "images": images,
        "shards": library.shard_count,
        "models": len(MODELS),
        "made_in_seconds": round(made, 1),
        **{
            name: probe | {"limits": LIMITS[name], "within_limits": _is_within(probe, LIMITS[name])}
            for name, probe in figures.items()
        },
    }


def _write_configuration(folder: Path, url: str) -> Path:
    config = folder / "photolineage.toml"
    sources = "".join(f"[sources.{key}]\nroot = '{folder}'\nremovable = true\n" for key in SOURCES)
    models = "".join(
        f"[models.{key}]\narchitecture = 'ViT-B-32'\npretrained = 'laion2b_s34b_b79k'\n" for key in MODELS
    )
    config.write_text(f"home = 'home'\nrescan_minutes = 600\ncatalog.url = '{url}'\n{sources}{models}")
    return config


def _build(library: LargeCatalog, config: Path) -> None:
    settings = load_settings(config)
    engine = settings.catalog.open_engine()
    with _progress_bar(library.images) as bar:
        for images in library.build(engine, settings.home):
            bar.advance(bar.task_ids[0], images)
    engine.dispose()


@contextmanager
def _progress_bar(total: int) -> Iterator[Progress]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        bar.add_task("Making the catalog", total=total)
        yield bar


def _in_a_process(probe: str, config: Path, images: int) -> Figures:
    """Run a probe in a new process, like making the catalog: a process inherits the peak memory of its parent."""
    command = [sys.executable, "-m", "benchmarks.scale", "--images", str(images)]
    done = subprocess.run(
        [*command, "--probe", probe, "--config", str(config)], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def _require_right(status: Figures, library: LargeCatalog) -> None:
    """Raises AssertionError if the status differs from a count image by image."""
    expected = {"to_register": library.to_register(), "to_embed": library.to_embed()}
    found = {
        "to_register": status["to_register"],
        "to_embed": {key: tuple(left) for key, left in status["to_embed"].items()},
    }
    if found != expected:
        raise AssertionError(f"the status shows {found}; expected from a count image by image: {expected}")


def _is_within(figures: Figures, limits: dict[str, float]) -> bool:
    return all(figures[name] <= limit for name, limit in limits.items())


def _peak_memory_gb() -> float:
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(peaks) * 1024 / 1e9, 3)


def _table(figures: Figures) -> Table:
    title = f"{figures['images']:,} images, {figures['shards']} shards, 3 models, {figures['database']}"
    table = Table("", "seconds", "at most", "peak GB", "at most", title=title)
    for name in PROBES:
        probe, limits = figures[name], figures[name]["limits"]
        cells = (
            probe["seconds"],
            limits["seconds"],
            probe["peak_memory_gb"],
            limits.get("peak_memory_gb", ""),
        )
        table.add_row(name, *map(str, cells))
    return table


def main(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    images: Annotated[int, typer.Option(min=1, help="Images in the catalog.")] = 3_170_000,
    postgresql: Annotated[bool, typer.Option(help="Use PostgreSQL instead of SQLite.")] = False,
    probe: Annotated[str | None, typer.Option(hidden=True)] = None,
    config: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print the figures with their limits."""
    if probe == "build" and config is not None:
        _build(LargeCatalog(images), config)
        print("{}")
        return
    if probe is not None and config is not None:
        figures = PROBES[probe](config)
        figures["seconds"] = round(figures["seconds"], 2)
        print(json.dumps(figures | {"peak_memory_gb": _peak_memory_gb()}))
        return
    figures = measured(images, on_postgresql=postgresql)
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        Console().print(_table(figures))


if __name__ == "__main__":
    typer.run(main)
