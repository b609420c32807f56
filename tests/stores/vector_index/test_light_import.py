"""lancedb without its client of remote catalogs, which comes when it is asked for."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from photolineage.stores.vector_index.light_import import lighten_import

lighten_import()
import lancedb

api, model = "lance_namespace_urllib3_client.api", "lance_namespace_urllib3_client.models.create_table_request"
assert api not in sys.modules, "the client was imported with lancedb"
assert model not in sys.modules, "its models were imported with lancedb"

from lance_namespace import CreateTableRequest, ListTablesRequest

deferred = CreateTableRequest(id=["a", "b"])
from lance_namespace_urllib3_client.models import CreateTableRequest as Real

assert type(deferred) is Real and Real is not CreateTableRequest
assert isinstance(deferred, CreateTableRequest) and not isinstance(deferred, ListTablesRequest)
assert issubclass(Real, CreateTableRequest)
assert CreateTableRequest.from_dict({"id": ["a"]}) == Real(id=["a"])
import lance_namespace_urllib3_client as client

assert client.TableApi.__module__ == "lance_namespace_urllib3_client.api.table_api"
assert api in sys.modules
assert client.__version__
lighten_import()
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
