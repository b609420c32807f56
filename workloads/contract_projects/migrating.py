"""Makes a project's database by the project's own migrations, in the project's own environment."""

import importlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Constraint, Engine, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.schema import AddConstraint

from workloads.contract_projects.projects import Migrations, Project


def loaded(project: Project) -> tuple[list[MetaData], list[MetaData]]:
    """The metadata of the project's models, and the metadata that it creates before its first migration."""
    os.environ.update(project.environment)
    if project.naming:
        _metadata(project.metadata[0]).naming_convention = _found(project.naming)
    for name in project.imports:
        module, _, function = name.partition(":")
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()
    models, before = ([_metadata(name) for name in names] for names in (project.metadata, project.creates))
    return list(dict.fromkeys(models)), before


def _found(name: str) -> Any:
    module, _, attributes = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found


def _metadata(name: str) -> MetaData:
    found = _found(name)
    metadata = found if isinstance(found, MetaData) else found.metadata
    assert isinstance(metadata, MetaData), name
    return metadata


def migrate(project: Project, engine: Engine) -> None:
    """Creates what the project creates first, then runs all its migrations from the first to the last."""
    models, before = loaded(project)
    for metadata in before:
        metadata.create_all(engine)
    for migrations in project.migrations:
        with engine.connect() as connection:
            _run(migrations, models, connection)


def _run(migrations: Migrations, models: list[MetaData], connection: Connection) -> None:
    folder = _folder(migrations.scripts)
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory(str(folder), version_locations=list(_versions(folder, connection.dialect.name)))

    def upgrade(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("heads", revision)

    with EnvironmentContext(config, script, fn=upgrade, destination_rev="heads") as environment:
        environment.configure(
            connection=connection,
            target_metadata=models if len(models) > 1 else models[0],
            render_as_batch=True,
            transaction_per_migration=True,
            version_table=migrations.version_table,
            user_module_prefix=None,
        )
        with environment.begin_transaction():
            environment.run_migrations()
    connection.commit()


def _folder(scripts: str) -> Path:
    """The folder of `package:folder`, without importing more than the package."""
    package, _, folder = scripts.partition(":")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))) / folder


def _versions(folder: Path, dialect: str) -> Iterator[str]:
    """Every folder of revisions. If there is one for each database, only that of this one."""
    top = folder / "versions"
    if (top / dialect).is_dir():
        top = top / dialect
    for place, _, files in sorted(os.walk(top)):
        if any(name.endswith(".py") and name != "__init__.py" for name in files):
            yield place


def created(metadata: list[MetaData], engine: Engine) -> list[str]:
    """Creates the models' tables. Returns the definitions that the database refuses, in its words."""
    refused: list[str] = []
    with engine.begin() as connection:
        for each in metadata:
            if _try(connection, partial(each.create_all, connection), []):
                continue
            for table in each.sorted_tables:
                _create(table, connection, refused)
            later = [
                key for table in each.sorted_tables for key in table.foreign_key_constraints if key.use_alter
            ]
            for key in later if connection.dialect.supports_alter else ():
                _add(key, connection, refused)
    return refused


def _create(table: Table, connection: Connection, refused: list[str]) -> None:
    """Creates the table and its indexes. If the database refuses it, without the constraints that it refuses."""
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    constraints = set(table.constraints)
    table.indexes.clear()
    create = partial(table.create, connection, checkfirst=True)
    reasons: list[str] = []
    if not _try(connection, create, reasons) and connection.dialect.supports_alter:
        table.constraints = {part for part in constraints if isinstance(part, PrimaryKeyConstraint)}
        if _try(connection, create, reasons):
            reasons.clear()
            for part in sorted(constraints - table.constraints, key=lambda part: part._creation_order):
                _add(part, connection, refused)
        table.constraints = constraints
    refused += reasons
    table.indexes.update(indexes)
    for index in indexes:
        _try(connection, partial(index.create, connection), refused)


def _add(constraint: Constraint, connection: Connection, refused: list[str]) -> None:
    rule = constraint._create_rule
    if rule is None or rule(connection.dialect.ddl_compiler(connection.dialect, None)):  # type: ignore[arg-type]
        _try(connection, partial(connection.execute, AddConstraint(constraint)), refused)
    constraint._create_rule = rule  # AddConstraint changes it, and the models must stay as they are


def _try(connection: Connection, create: Callable[[], object], refused: list[str]) -> bool:
    """Whether the database accepts the definition. If not, its words are added to `refused`."""
    savepoint = connection.begin_nested()
    try:
        create()
    except Exception as error:  # noqa: BLE001 - whatever a project's models raise
        savepoint.rollback()
        refused.append(f"{type(error).__name__}: {error}")
        return False
    savepoint.commit()
    return True
