"""lancedb without its client of remote catalogs, which comes when it is asked for."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from resources.vector_index.deferred_client import defer_rest_client

defer_rest_client()
import lancedb

api = "lance_namespace_urllib3_client.api"
assert api not in sys.modules, "the client was imported with lancedb"
import lance_namespace_urllib3_client as client

assert client.TableApi.__module__ == "lance_namespace_urllib3_client.api.table_api"
assert api in sys.modules
assert client.__version__
defer_rest_client()
assert sys.modules["lance_namespace_urllib3_client"] is client
try:
    client.NoSuchName
except AttributeError:
    print("whole")
"""


def test_the_client_is_imported_when_a_name_of_it_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr
