"""The job `explain_photo`: where a photo stands in the lineage, and why a search finds it or not."""

from dataclasses import asdict

from dagster import (
    Config,
    JobDefinition,
    MetadataValue,
    OpExecutionContext,
    Output,
    ResourceParam,
    TableRecord,
    job,
    op,
)
from pydantic import Field

from assets.orchestration.launchpad import fields_of
from photolineage.plain_text import printable
from photolineage.settings import Settings
from resources.failures import reported, require_migrated
from resources.home import CatalogResource


class ExplainPhotoConfig(Config):
    """The photo, and a search that should find it."""

    photo: str = Field(
        description="The path of a photo, or the id of an image. A relative path is looked for below each source. The "
        "catalog need not know the path."
    )
    query: str | None = Field(
        default=None,
        description="What the photo shows, in words. The answer then says at which rank a search finds it, and why.",
    )


def explain_photo_job() -> JobDefinition:
    """The job, for the Dagster UI; `photolineage why` does the same on the command line."""

    @op(
        description="Shows as a table where a photo stands: each stage, its state, the reason, and what to do."
    )
    def explain(
        context: OpExecutionContext,
        config: ExplainPhotoConfig,
        catalog: ResourceParam[CatalogResource],
        settings: ResourceParam[Settings],
    ) -> Output[None]:
        from photolineage.explain.answer import explain_photo
        from photolineage.explain.in_search import Question
        from photolineage.search.query import Query, Weighted

        require_migrated(catalog)
        with reported():
            question = None if config.query is None else Question(Query(texts=(Weighted(config.query),)))
            explained = explain_photo(settings, catalog.engine, config.photo, question=question)
        metadata = {}
        for explanation in explained:
            rows = [TableRecord(asdict(finding)) for finding in explanation.findings]
            where = f" (source {explanation.source})" if len(explained) > 1 else ""
            metadata[f"{printable(explanation.path)}{where}"] = MetadataValue.table(rows)
            for finding in explanation.findings:
                context.log.info(printable(f"{finding.stage}: {finding.state}. {finding.reason}"))
        return Output(None, metadata=metadata)

    @job(
        name="explain_photo",
        config=fields_of("explain", ExplainPhotoConfig),
        description="Shows where a photo stands and why: in which source, seen, read, embedded, indexed, in which "
        "event. With a query, at which rank a search finds it. Changes nothing. **Needs** `catalog_schema`, and the "
        "path or the id of the photo. **Next:** open the table of the step's output in the log of the run.",
    )
    def explain_photo_of_config() -> None:
        explain()

    return explain_photo_of_config
