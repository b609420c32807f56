"""The one way from the command line to the Dagster project: its folder, and what is called in it.

The project lies at the root of a checkout, and in `photolineage/project` where pip installed the package.
"""

import os
import sys
from collections.abc import Sequence
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
    """Let this process, and each that it starts, import the project; its folder is returned.

    Python then puts no working directory on its path, so that a folder of photos with an `assets` in it is never
    imported: Dagster's children get this from the environment, where nobody could give them `-P`.
    """
    folder = str(project_folder())
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([folder, *inherited]))
    os.environ["PYTHONSAFEPATH"] = "1"
    return Path(folder)


def prepare_server(settings: Settings) -> list[str]:
    """Ready the Dagster instance for its UI; see `assets.orchestration.lineage_run`."""
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
) -> "RunReport":
    """Bring sources and models up to date; see `assets.orchestration.lineage_run`."""
    use_project()
    from assets.orchestration.lineage_run import run_lineage

    return run_lineage(settings, source_keys, model_keys, progress, retry_failed=retry_failed)


def webserver_command(settings: Settings, host: str, port: int) -> list[str]:
    """The command that serves the Dagster UI over the project, to be executed in the project's folder.

    Its web server answers only to the names of this machine, and to the address that `alerts.ui` names.
    """
    folder = use_project()
    from assets.orchestration.guarded_ui import HOSTS_VARIABLE, MODULE

    hosts = {f"{name}:{port}" for name in (host, "127.0.0.1", "localhost", "[::1]")}
    if settings.alerts.ui is not None:
        hosts.add(urlsplit(settings.alerts.ui).netloc)
    os.environ[HOSTS_VARIABLE] = " ".join(sorted(hosts))
    os.environ[CONFIG_VARIABLE] = str(settings.config_file)
    os.chdir(folder)
    arguments = ["dev", "-w", "workspace.yaml", "-h", host, "-p", str(port)]
    return [sys.executable, "-P", "-m", MODULE, *arguments]
