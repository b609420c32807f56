"""Asset checks for any Dagster project: one for each table of the metadata. This module needs Dagster."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Unpack

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    Failure,
    MetadataValue,
    TableColumn,
    TableMetadataValue,
    TableRecord,
    TableSchema,
    multi_asset_check,
)
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import SQLAlchemyError

from .comparison import compare
from .drift import Drift, Severity
from .errors import ContractError, reason
from .selection import CompareOptions
from .table import COLUMNS, difference_rows
from .text_table import summary

OTHER_OBJECTS = "other_objects"
_SCHEMA = TableSchema(columns=[TableColumn(column, "string") for column in COLUMNS])
_GIVES_A_DATABASE = ("engine", "get_engine", "connection", "get_connection")


def contract_checks(
    metadata: MetaData | Iterable[MetaData],
    resource: str,
    *,
    asset: AssetKey | str = "database_schema",
    assets: Mapping[str, AssetKey | str] | None = None,
    name: str = "schema_contract",
    blocking: bool = False,
    **options: Unpack[CompareOptions],
) -> AssetChecksDefinition:
    """A check `table_<name>` for each table, and `other_objects` for differences that belong to no table.

    `resource`: the key of a resource that is an Engine or a Connection, or has one as `engine` or `connection`, or
    returns one from `get_engine()` or `get_connection()`, also as a context manager.
    `asset`: the asset to which the checks belong. `assets`: other assets for some tables, by the table's name.
    `name`: the name of the op.
    `blocking`: whether an error keeps the assets downstream from being materialized.
    `options`: those of `compare`.

    If there are only warnings, the check fails with the severity WARN. If the comparison is impossible, the run fails.
    """
    several = (metadata,) if isinstance(metadata, MetaData) else tuple(metadata)
    tables = dict.fromkeys(table.fullname for one in several for table in one.tables.values())
    specs = {
        table: AssetCheckSpec(
            f"table_{re.sub(r'[^A-Za-z0-9_]', '_', table)}",
            asset=(assets or {}).get(table, asset),
            blocking=blocking,
            description=f"The table `{table}` in the database matches the code.",
        )
        for table in tables
    }
    other = AssetCheckSpec(
        OTHER_OBJECTS,
        asset=asset,
        blocking=blocking,
        description="The database has no tables, types or sequences that the code does not know.",
    )

    @multi_asset_check(
        name=name, specs=[*specs.values(), other], required_resource_keys={resource}, can_subset=True
    )
    def evaluate(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        found: dict[str, list[Drift]] = {}
        for drift in _drifts(getattr(context.resources, resource), several, options):
            found.setdefault(drift.table if drift.table in specs else OTHER_OBJECTS, []).append(drift)
        for key, spec in (*specs.items(), (OTHER_OBJECTS, other)):
            if spec.key in context.selected_asset_check_keys:
                yield drift_result(found.get(key, []), spec.asset_key, spec.name)

    return evaluate


def drift_result(
    drifts: Iterable[Drift],
    asset: AssetKey | str,
    check: str,
    *,
    broken: bool | None = None,
    description: str | None = None,
    metadata: Mapping[str, MetadataValue[Any]] | None = None,
) -> AssetCheckResult:
    """The result of a check: it passes without drifts, and blocks only if it is broken.

    `broken`: by default, whether a drift is an error.
    """
    drifts = tuple(drifts)
    if broken is None:
        broken = any(drift.severity is Severity.ERROR for drift in drifts)
    return AssetCheckResult(
        asset_key=AssetKey(asset) if isinstance(asset, str) else asset,
        check_name=check,
        passed=not broken and not drifts,
        severity=AssetCheckSeverity.WARN if drifts and not broken else AssetCheckSeverity.ERROR,
        description=description or summary(drifts),
        metadata={
            "differences": difference_table(drifts),
            "drifts": MetadataValue.int(len(drifts)),
            **(metadata or {}),
        },
    )


def difference_table(drifts: Iterable[Drift]) -> TableMetadataValue:
    """One row for each drift: what differs, where, both sides, and the fix."""
    return MetadataValue.table([TableRecord(row) for row in difference_rows(drifts)], schema=_SCHEMA)


def _drifts(resource: object, metadata: Iterable[MetaData], options: CompareOptions) -> list[Drift]:
    with ExitStack() as stack:
        try:
            return compare(metadata, _connection(resource, stack), **options)
        except (ContractError, SQLAlchemyError) as error:
            raise Failure(f"The database cannot be compared with the code: {reason(error)}") from error


def _connection(given: Any, stack: ExitStack) -> Connection | Engine:
    """The engine or connection that a resource gives. What was opened for this is closed with the stack."""
    if isinstance(given, Connection | Engine):
        return given
    if hasattr(given, "__enter__"):
        return _connection(stack.enter_context(given), stack)
    for name in _GIVES_A_DATABASE:
        if (inner := getattr(given, name, None)) is None:
            continue
        opened = inner() if callable(inner) else inner
        if callable(inner) and isinstance(opened, Connection):
            stack.enter_context(opened)
        return _connection(opened, stack)
    raise ContractError(
        f"The resource is a {type(given).__name__}. It must be an Engine or a Connection, or have one as engine,"
        " get_engine(), connection or get_connection()."
    )
