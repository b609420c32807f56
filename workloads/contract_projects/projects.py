"""The real projects, as data: what to install, where the models and the migrations are."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Migrations:
    """`scripts`: a package and the folder in it that has the folder `versions`."""

    scripts: str
    version_table: str = "alembic_version"


@dataclass(frozen=True)
class Project:
    """A project with SQLAlchemy models and Alembic migrations.

    `requires`: the pinned package, then what it also needs. `metadata`: `module:attribute` of a MetaData or a
    declarative base. `imports`: modules that add tables to it, or `module:function` to call. `creates`: metadata that
    the project creates before its first migration. `databases`: where its migrations run. `naming`: `module:attribute`
    of a naming convention that the project gives its metadata before it imports the models.
    """

    name: str
    requires: tuple[str, ...]
    metadata: tuple[str, ...]
    migrations: tuple[Migrations, ...]
    imports: tuple[str, ...] = ()
    creates: tuple[str, ...] = ()
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    naming: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def package(self) -> str:
        """The package's name and version."""
        return self.requires[0]


_POSTGRESQL = ("postgresql",)
_SQLITE = ("sqlite",)

PROJECTS = (
    Project(
        "optuna",
        ("optuna==5.0.0",),
        ("optuna.storages._rdb.models:BaseModel",),
        (Migrations("optuna:storages/_rdb/alembic"),),
    ),
    Project(
        "glance",
        ("glance==33.0.0",),
        ("glance.db.sqlalchemy.models:BASE", "glance.db.sqlalchemy.models_metadef:BASE_DICT"),
        (Migrations("glance:db/sqlalchemy/alembic_migrations"),),
    ),
    Project("cinder", ("cinder==29.0.0",), ("cinder.db.models:BASE",), (Migrations("cinder:db/migrations"),)),
    Project(
        "nova", ("nova==34.0.0",), ("nova.db.main.models:BASE",), (Migrations("nova:db/main/migrations"),)
    ),
    Project(
        "nova's API",
        ("nova==34.0.0",),
        ("nova.db.api.models:BASE",),
        (Migrations("nova:db/api/migrations"),),
    ),
    Project(
        "keystone",
        ("keystone==30.0.0",),
        ("keystone.common.sql.core:ModelBase",),
        (Migrations("keystone:common/sql/migrations"),),
        imports=("keystone.conf:configure", "keystone.common.sql.migrations.manage:import_sql_modules"),
    ),
    Project(
        "ironic",
        ("ironic==39.0.0",),
        ("ironic.db.sqlalchemy.models:Base",),
        (Migrations("ironic:db/sqlalchemy/alembic"),),
        databases=_POSTGRESQL,
    ),
    Project(
        "dstack",
        ("dstack[server]==0.22.5",),
        ("dstack._internal.server.models:BaseModel",),
        (Migrations("dstack._internal.server:migrations"),),
    ),
    Project(
        "meltano",
        ("meltano==4.4.1",),
        ("meltano.core.models:SystemModel",),
        (Migrations("meltano:migrations"),),
        imports=("meltano.core.job", "meltano.core.state_store", "meltano.core.setting"),
    ),
    Project(
        "prefect",
        ("prefect==3.9.1",),
        ("prefect.server.database.orm_models:Base",),
        (Migrations("prefect:server/database/_migrations"),),
        databases=_SQLITE,  # on PostgreSQL they need pg_trgm, which the packaged server does not have
    ),
    Project(
        "mlflow",
        ("mlflow-skinny==3.17.2", "sqlparse"),
        ("mlflow.store.db.base_sql_model:Base",),
        (Migrations("mlflow:store/db_migrations"),),
        imports=("mlflow.store.tracking.dbmodels.models", "mlflow.store.model_registry.dbmodels.models"),
        creates=("mlflow.store.db.utils:InitialBase",),
    ),
    Project(
        "airflow",
        ("apache-airflow-core==3.3.2",),
        ("airflow.models.base:Base",),
        (Migrations("airflow:migrations"),),
        imports=("airflow.utils.db", "airflow.models:import_all_models"),
    ),
    Project(
        "fractal-server",
        ("fractal-server==2.18.5",),
        ("sqlmodel:SQLModel",),
        (Migrations("fractal_server:migrations"),),
        imports=("fractal_server.app.models",),
        naming="fractal_server.migrations.naming_convention:NAMING_CONVENTION",
        environment={"POSTGRES_DB": "unused", "JWT_SECRET_KEY": "unused"},
        databases=_POSTGRESQL,
    ),
)
