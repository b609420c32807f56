"""A process that registers or embeds a shard and is killed while it compacts the files.

`python -m tests.steps.compacting_process CONFIG register|embed SHARD commit|end`: killed within the transaction
that supersedes the files, or after it, before the job has ended.
"""

import os
import signal
import sys
from pathlib import Path

import pytest

from photolineage.catalog.leases import Lease
from photolineage.settings import load_settings
from photolineage.steps import compact as compaction
from tests.library import Library


def die(*_arguments: object) -> None:
    """As the power would."""
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    config, step, shard_key, moment = sys.argv[1:]
    settings = load_settings(Path(config))
    library = Library(settings, settings.catalog.open_engine())
    monkeypatch = pytest.MonkeyPatch()
    if moment == "commit":
        monkeypatch.setattr(compaction, "_supersede", die)
    else:
        monkeypatch.setattr(Lease, "finish", die)
    if step == "register":
        library.register(shard_key)
    else:
        library.embed(shard_key)


if __name__ == "__main__":
    main()
