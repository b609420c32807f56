"""Importing lancedb without its client of remote catalogs."""

import importlib.util
import sys
from typing import Any, Final

_CLIENT: Final = "lance_namespace_urllib3_client"


def defer_rest_client() -> None:
    """Let lancedb, when it is imported after this, leave out the REST client of remote catalogs.

    Of the client's package lancedb needs the models alone, and a local table nothing at all; running its `__init__`
    takes longer (1.0 s of 1.9 s) than the rest of lancedb. It runs when the package is first asked for a name.
    """
    if _CLIENT in sys.modules:
        return
    spec = importlib.util.find_spec(_CLIENT)
    if spec is None or spec.loader is None:
        return
    package, loader = importlib.util.module_from_spec(spec), spec.loader

    def run_package(name: str) -> Any:
        vars(package).pop("__getattr__", None)
        loader.exec_module(package)
        return getattr(package, name)

    vars(package)["__getattr__"] = run_package  # PEP 562
    sys.modules[_CLIENT] = package
