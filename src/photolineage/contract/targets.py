"""Finds the metadata that a person names: `module:attribute`, or the alembic.ini or env.py of an Alembic project."""

import importlib
import sys
from collections.abc import Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from .alembic_project import AlembicProject, Target
from .errors import ContractError

_FORMS = "module:attribute, such as myapp.models:Base, or the path of an alembic.ini or env.py"


def load_target(text: str, url: str | None = None) -> Target:
    """The metadata that `text` names. `url`: the database, for an env.py that asks for it. Raises ContractError."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # like `python -m`: modules in the current folder are found
    if Path(text).suffix == ".ini" or Path(text).name == "env.py":
        return AlembicProject(Path(text), url).target()
    module, colon, attribute = text.partition(":")
    if not module or not colon or not attribute:
        raise ContractError(f"Cannot read the target {text!r}: give {_FORMS}.")
    try:
        found = reduce(getattr, attribute.split("."), importlib.import_module(module))
    except (Exception, SystemExit) as error:
        raise ContractError(f"Cannot load {text!r}: {type(error).__name__}: {error}") from error
    return Target(tuple(_metadata_of(found, text)))


def _metadata_of(found: Any, text: str) -> Iterator[MetaData]:
    if isinstance(found, MetaData):
        yield found
    elif isinstance(metadata := getattr(found, "metadata", None), MetaData):
        yield metadata
    elif isinstance(found, Iterable) and not isinstance(found, str):
        for one in found:
            yield from _metadata_of(one, text)
    else:
        raise ContractError(
            f"Cannot compare {text!r}: it is a {type(found).__name__}. Name a MetaData, an object that has one as"
            " .metadata, such as the base class of your models, or a list of them."
        )
