"""Every check in one go, as `photolineage check` runs them."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, MetaData

from photolineage.catalog.orm import Base
from photolineage.checks import catalog_contract
from photolineage.checks.library import check_library
from photolineage.contract import compare
from photolineage.contract.drift import Drift
from tests.lineage import Lineage


def findings(lineage: Lineage) -> dict[str, tuple[bool, str]]:
    found = check_library(lineage.library.settings, lineage.library.engine)
    return {finding.name: (finding.passed, finding.description) for finding in found}


def test_a_built_library_passes_every_check(lineage: Lineage) -> None:
    found = findings(lineage)
    tables = {f"catalog: table {table}" for table in Base.metadata.tables}
    checks = ("embedding_files", "index_coverage", "event_membership", "events_are_current")
    stores = {f"tiny-a: {check}" for check in checks}
    assert tables | stores <= found.keys()
    assert [name for name, (passed, _) in found.items() if not passed] == []
    assert found["tiny-a: embedding_files"][1] == "7 checked, no problems"
    assert found["tiny-a: index_coverage"][1] == "26 checked, no problems"


def test_the_schema_is_compared_once_and_not_once_for_each_table(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []

    def counted(metadata: MetaData, connection: Connection) -> Sequence[Drift]:
        compared.append(connection)
        return compare(metadata, connection)

    monkeypatch.setattr(catalog_contract, "compare", counted)
    findings(lineage)
    assert len(compared) == 1


def test_an_unmigrated_catalog_is_the_only_finding(new_lineage: Lineage) -> None:
    found = findings(new_lineage)
    assert list(found) == ["catalog"]
    assert not found["catalog"][0]
    assert "photolineage migrate" in found["catalog"][1]


def test_a_table_that_differs_is_named_and_the_stores_are_not_read(lineage: Lineage) -> None:
    lineage.execute("ALTER TABLE image RENAME COLUMN camera TO camera_model")
    found = findings(lineage)
    failed = {name: description for name, (passed, description) in found.items() if not passed}
    assert list(failed) == ["catalog: table image"]
    assert "image: missing_column camera: expected TEXT, found nothing." in failed["catalog: table image"]
    assert not any(name.startswith("tiny-a") for name in found)


def test_a_file_that_is_gone_is_a_finding(lineage: Lineage) -> None:
    gone = min((lineage.home / "embeddings").rglob("*.parquet"))
    gone.unlink()
    found = findings(lineage)
    passed, description = found["tiny-a: embedding_files"]
    assert not passed
    assert str(gone.relative_to(lineage.home)) in description


def test_the_check_has_no_model_to_look_at_before_anything_is_embedded(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")
    tables = {f"catalog: table {table}" for table in Base.metadata.tables}
    assert set(findings(new_lineage)) == {"catalog: store", *tables}


def test_events_that_are_older_than_the_index_are_a_finding(lineage: Lineage) -> None:
    lineage.execute("UPDATE ml_job SET input_version = 'older' WHERE kind = 'cluster'")
    failed = [name for name, (passed, _) in findings(lineage).items() if not passed]
    assert failed == ["tiny-a: events_are_current"]
