"""Drift between SQLAlchemy metadata and a live database: what differs, how serious it is, and the SQL that fixes it.

    from sqlalchemy import create_engine

    with create_engine("sqlite:///catalog.db").connect() as connection:
        for drift in compare(Base.metadata, connection):
            print(drift.severity, drift.kind, drift.table, drift.name, drift.fix.safe)

This package needs SQLAlchemy and Alembic. It imports no other part of the project.
"""

from .comparison import compare
from .drift import Drift, DriftKind, Fix, Severity
from .errors import (
    ContractError,
    MissingPrivilegeError,
    ReadOnlyDatabaseError,
    SchemaChangedError,
    ShadowSchemaError,
    UnsupportedDatabaseError,
)
from .scripts import script
from .selection import write_baseline

__all__ = [
    "ContractError",
    "Drift",
    "DriftKind",
    "Fix",
    "MissingPrivilegeError",
    "ReadOnlyDatabaseError",
    "SchemaChangedError",
    "Severity",
    "ShadowSchemaError",
    "UnsupportedDatabaseError",
    "compare",
    "script",
    "write_baseline",
]

__version__ = "0.1.0"
