"""Whether Photolineage itself started this process: the guarded UI, or the command line.

A page of another site that reaches a plain `dagster dev` can launch any job. It cannot set an environment variable, so
the jobs that change or delete what serves look for one that only `photolineage` sets. Runs inherit it.
"""

import os

from dagster import Failure

OWN_SERVER_VARIABLE = "PHOTOLINEAGE_OWN_SERVER"


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
        raise Failure(description=refusal(what), allow_retries=False)


def warning() -> str | None:
    """What the log of a code location says that something else than `photolineage` loads; None if all is well."""
    if is_own_server():
        return None
    lost = (
        ""
        if os.environ.get("DAGSTER_HOME")
        else " The history of runs is lost when it ends: DAGSTER_HOME is not set."
    )
    return (
        f"Any web page that your browser shows can start runs in this Dagster server.{lost} "
        "Stop it and run `photolineage ui`."
    )
