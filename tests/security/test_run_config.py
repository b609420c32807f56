"""A run's configuration cannot point the run at another database or folder."""

import pytest
from dagster import DagsterInvalidConfigError

from tests.lineage import Lineage


@pytest.mark.parametrize(
    ("resource", "config"),
    [
        ("catalog", {"url": "sqlite:////tmp/elsewhere.db"}),
        ("catalog", {"lease_timeout_seconds": 10}),
        ("storage", {"home": "/tmp/elsewhere"}),
        ("settings", {"home": "/tmp/elsewhere"}),
    ],
)
@pytest.mark.parametrize("job", ["materialize_catalog_schema", "maintain_indexes", "check_contract"])
def test_no_resource_takes_a_configuration(
    new_lineage: Lineage, job: str, resource: str, config: dict[str, object]
) -> None:
    given = {"resources": {resource: {"config": config}}}
    with pytest.raises(DagsterInvalidConfigError, match=resource):
        new_lineage.definitions.resolve_job_def(job).execute_in_process(
            instance=new_lineage.instance, run_config=given
        )


@pytest.mark.parametrize(
    "job", ["explain_photo", "migrate_catalog", "promote_model", "repair", "retire_model", "sweep_files"]
)
def test_a_job_with_fields_of_its_own_takes_nothing_else(new_lineage: Lineage, job: str) -> None:
    for other in ("resources", "ops", "loggers", "execution"):
        with pytest.raises(DagsterInvalidConfigError, match=f'unexpected config entry "{other}" at the root'):
            new_lineage.definitions.resolve_job_def(job).execute_in_process(
                instance=new_lineage.instance, run_config={other: {}}
            )


def test_the_record_of_a_run_names_neither_database_nor_home(lineage: Lineage) -> None:
    run = lineage.materialize("catalog_schema")
    recorded = lineage.instance.get_run_by_id(run.run_id)
    assert recorded is not None
    assert "resources" not in recorded.run_config
    snapshot = lineage.definitions.resolve_job_def("materialize_catalog_schema").get_job_snapshot()
    told = str(snapshot.config_schema_snapshot)
    assert "materialize_catalog_schema" in str(snapshot)
    assert str(lineage.home) not in told
    assert lineage.library.settings.catalog.url not in told
