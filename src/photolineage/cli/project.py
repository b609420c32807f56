"""The only place where the command line uses the Dagster project: its folder and the functions that are called.

The project is at the root of a checkout. When pip installed the package, it is in `photolineage/project`.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from photolineage.settings import CONFIG_VARIABLE, Settings

if TYPE_CHECKING:
    from assets.orchestration.lineage_run import RunReport, StepProgress

PACKAGE = Path(__file__).parents[1]


def project_folder() -> Path:
    """The folder that holds `definitions.py`, `workspace.yaml`, `assets`, `resources`, `schema_checks` and `deploy`."""
    carried = PACKAGE / "project"
    return carried if carried.is_dir() else PACKAGE.parents[1]


def use_project() -> Path:
    """Let this process and its child processes import the project. Returns the project's folder.

    `PYTHONSAFEPATH` keeps the working directory off Python's path. Otherwise a folder named `assets` among the photos
    could be imported. Dagster starts its children without `-P`, so this is set in the environment.
    """
    folder = str(project_folder())
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([folder, *inherited]))
    os.environ["PYTHONSAFEPATH"] = "1"
    return Path(folder)


def prepare_server(settings: Settings) -> list[str]:
    """Prepare the Dagster instance for its UI. See `assets.orchestration.lineage_run`."""
    use_project()
    from assets.orchestration.lineage_run import prepare_server

    return prepare_server(settings)


def run_lineage(
    settings: Settings,
    source_keys: Sequence[str],
    model_keys: Sequence[str],
    progress: "StepProgress",
    *,
    retry_failed: bool = False,
    wait: bool = True,
) -> "RunReport":
    """Bring sources and models up to date. See `assets.orchestration.lineage_run`."""
    use_project()
    from assets.orchestration.lineage_run import run_lineage

    return run_lineage(settings, source_keys, model_keys, progress, retry_failed=retry_failed, wait=wait)


@contextmanager
def alone_in_home(settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no `photolineage run` works in the home, and let none begin meanwhile."""
    use_project()
    from assets.orchestration.home_locks import only_run

    with only_run(settings.home, say):
        yield


def rename_partitions(settings: Settings, sources: tuple[str, str], shards: Mapping[str, str]) -> None:
    """Rename Dagster's partitions. See `assets.orchestration.renamed_partitions`."""
    use_project()
    from assets.orchestration.renamed_partitions import rename_partitions

    rename_partitions(settings, sources, shards)


def remove_partitions(settings: Settings, source: str) -> None:
    """Remove Dagster's partitions. See `assets.orchestration.renamed_partitions`."""
    use_project()
    from assets.orchestration.renamed_partitions import remove_partitions

    remove_partitions(settings, source)


def has_partitions(settings: Settings, source: str) -> bool:
    """Whether Dagster has partitions of a source. See `assets.orchestration.renamed_partitions`."""
    use_project()
    from assets.orchestration.renamed_partitions import has_partitions

    return has_partitions(settings, source)


def webserver_command(settings: Settings, host: str, port: int, *, remote: bool) -> list[str]:
    """The command that starts the Dagster UI. Changes the working directory to the project's folder.

    Its web server answers only requests for the names of this machine and for the address in `alerts.ui`.
    """
    folder = use_project()
    from assets.orchestration.guarded_ui import HOSTS_VARIABLE, MODULE, REMOTE_VARIABLE

    hosts = [] if settings.alerts.ui is None else [urlsplit(settings.alerts.ui).netloc]
    os.environ[HOSTS_VARIABLE] = " ".join(hosts)
    os.environ[REMOTE_VARIABLE] = "1" if remote else "0"
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)
    os.chdir(folder)
    arguments = ["dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)]
    return [sys.executable, "-P", "-m", MODULE, *arguments]
