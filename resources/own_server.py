"""Whether Photolineage itself started this process: the guarded UI, or the command line.

A page of another site that reaches a plain `dagster dev` can launch any job. It cannot set an environment variable, so
the jobs that change or delete what serves look for one that only `photolineage` sets. Runs inherit it.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from resources.failures import ExplainedError

OWN_SERVER_VARIABLE = "PHOTOLINEAGE_OWN_SERVER"

_EXECUTING = frozenset({("asset", "materialize"), ("job", "execute")})
"""The commands of `dagster` that execute a run in their own process."""


def mark_own_server() -> None:
    """Say that `photolineage` started this process and those that it starts."""
    os.environ[OWN_SERVER_VARIABLE] = "1"


def is_own_server() -> bool:
    """Whether `photolineage` started this process."""
    return os.environ.get(OWN_SERVER_VARIABLE) == "1"


def refusal(what: str) -> str:
    """Why a server that Photolineage did not start may not do this, and the remedy."""
    return (
        f"{what} runs only under `photolineage ui` or on the command line: any web page could launch it in a Dagster "
        "server that `photolineage` did not start. Stop this server and run `photolineage ui`."
    )


def require_own_server(what: str) -> None:
    """Raise Failure, which names the remedy, if something else than `photolineage` started this process."""
    if not is_own_server():
        raise ExplainedError(refusal(what))


def warning() -> str | None:
    """What a server that something else than `photolineage` started says of itself; None if all is well.

    The log of its code location, the descriptions of its assets and the logs of its runs have it.
    """
    if is_own_server():
        return None
    lost = (
        ""
        if os.environ.get("DAGSTER_HOME")
        else " DAGSTER_HOME is not set: the history of runs is lost when the server ends, and the limits on "
        "simultaneous runs do not hold."
    )
    return (
        f"Any web page that your browser shows can start runs in this Dagster server.{lost} "
        "Stop it and run `photolineage ui`."
    )


def why_not_executed(arguments: Sequence[str], dagster_home: Path) -> str | None:
    """Why `dagster asset materialize` and `dagster job execute` are refused, by the arguments of this process.

    Without DAGSTER_HOME, Dagster takes an empty instance: it knows no shard, ends with an error about a partition key,
    and forgets what it recorded. None if they are not refused.
    """
    command = tuple(arguments[1:3])
    if command not in _EXECUTING or os.environ.get("DAGSTER_HOME"):
        return None
    return (
        f"Error: `dagster {' '.join(command)}` needs DAGSTER_HOME. Without it, Dagster does not know the shards of "
        f"this library, and forgets the run. Set DAGSTER_HOME={shlex.quote(str(dagster_home))}. `photolineage ui` and "
        "`photolineage run` make this folder; `photolineage run` alone does all steps. Nothing was changed."
    )
