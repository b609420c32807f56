"""`catalog_schema`: the catalog's tables, at the revision that the code expects."""

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, MetadataValue, ResourceParam

from assets.orchestration.running import warn_of_plain_server
from assets.orchestration.step_asset import step_asset
from photolineage.catalog.engine import reading, shown_url
from photolineage.catalog.migrate import catalog_revision, require_current, upgrade
from photolineage.catalog.orm import Base
from photolineage.lineage import CATALOG_SCHEMA
from resources.failures import reported
from resources.home import CatalogResource


@step_asset(
    CATALOG_SCHEMA,
    "The catalog's tables. Creates them in a new database. Fails on a catalog of an older revision, and lists the "
    "migrations to apply.\n\n**Needs** nothing: materialize it first.\n\n**Next:** materialize "
    "`source_files`. If the catalog is of an older revision: launch the job `migrate_catalog`.",
)
def catalog_schema(
    context: AssetExecutionContext, catalog: ResourceParam[CatalogResource]
) -> MaterializeResult[None]:
    warn_of_plain_server(context)
    with reported():
        engine = catalog.engine
        with reading(engine) as connection:
            is_new = catalog_revision(connection).found is None
        if is_new:
            upgrade(engine)
            context.log.info("created the catalog")
        require_current(engine)
        catalog.attach(engine)
    with reading(engine) as connection:
        revision = catalog_revision(connection)
    return MaterializeResult(
        data_version=DataVersion(revision.wanted),
        metadata={
            "revision": revision.wanted,
            "created": is_new,
            "database": shown_url(engine.url),
            "tables": MetadataValue.md(" ".join(f"`{table}`" for table in Base.metadata.tables)),
        },
    )
