"""`catalog_schema` and `source_files`: from nothing to rows, shards and partition keys."""

import shutil
from pathlib import Path

from photolineage.catalog.migrate import head_revision
from photolineage.catalog.orm import Base
from tests.library import draw_photo, touch
from tests.lineage import Lineage, failure_of, metadata_of, open_lineage


def test_the_catalog_is_created_once_and_every_table_is_checked(new_lineage: Lineage) -> None:
    first = new_lineage.materialize("catalog_schema")
    assert first.success
    assert metadata_of(first)["created"] is True
    assert metadata_of(first)["revision"] == head_revision()
    assert metadata_of(first)["database"] == f"sqlite:///{new_lineage.home}/catalog.db"
    assert {name: check.passed for name, check in new_lineage.checks_of(first).items()} == {
        f"table_{table}": True for table in Base.metadata.tables
    }

    second = new_lineage.materialize("catalog_schema")
    assert second.success
    assert metadata_of(second)["created"] is False


def test_an_older_catalog_is_refused_and_not_touched(new_lineage: Lineage) -> None:
    assert new_lineage.materialize("catalog_schema").success
    new_lineage.execute("UPDATE alembic_version SET version_num = '0000'")
    rows = new_lineage.rows()

    refused = new_lineage.materialize("catalog_schema")

    assert not refused.success
    assert (
        f"is at revision 0000, but this version of Photolineage only knows revisions up to {head_revision()}"
        in failure_of(refused)
    )
    assert new_lineage.rows() == rows


def test_the_files_of_a_source_become_rows_and_shards(new_lineage: Lineage) -> None:
    new_lineage.materialize("catalog_schema")

    scanned = new_lineage.materialize("source_files", "photos")

    assert scanned.success
    assert metadata_of(scanned) == {
        "files": 28,
        "new": 28,
        "changed": 0,
        "missing": 0,
        "moved": 0,
        "returned": 0,
        "sidecars": 0,
        "retimed": 0,
        "time_shift": "",
        "shards": 3,
        "unreadable_places": 0,
        "unreadable": "",
        "away": "",
        "links_left": 0,
        "links": "",
        "passed_over": {},
        "root": str(new_lineage.library.root),
        "renamed": "",
    }
    assert new_lineage.checks_of(scanned)["catalog_contract"].passed
    assert new_lineage.shards == ["photos-00000", "photos-00001", "photos-00002"]
    assert new_lineage.materialized_partitions("source_files") == {"photos"}


def test_a_second_scan_counts_what_differs(lineage: Lineage) -> None:
    root = lineage.library.root
    draw_photo(root / "2025/00.jpg", 500)
    touch(root / "2023/01.jpg")
    (root / "2023/00.jpg").unlink()
    (root / "2024/00.jpg").unlink()

    found = metadata_of(lineage.materialize("source_files", "photos"))

    assert {name: found[name] for name in ("files", "new", "changed", "missing", "returned", "shards")} == {
        "files": 27,
        "new": 1,
        "changed": 1,
        "missing": 2,
        "returned": 0,
        "shards": 3,
    }


def test_a_scan_says_that_all_times_have_shifted(lineage: Lineage) -> None:
    for path in lineage.library.root.rglob("*.jpg"):
        touch(path, 3600)

    found = metadata_of(lineage.materialize("source_files", "photos"))

    assert (found["changed"], found["retimed"]) == (0, 28)
    assert "28 files: their times differ by 1:00 h (later) from those in the catalog" in found["time_shift"]


def test_a_partition_that_somebody_added_by_hand_is_removed(lineage: Lineage) -> None:
    shards = lineage.shards
    lineage.instance.add_dynamic_partitions("shard", ["photos-99999", "typo"])

    lineage.must_materialize("source_files", "photos")

    assert lineage.shards == shards == ["photos-00000", "photos-00001", "photos-00002"]


def test_an_unplugged_disk_marks_nothing_as_missing(lineage: Lineage) -> None:
    rows = lineage.library.states()
    shutil.move(lineage.library.root, lineage.library.root.with_name("unplugged"))

    scanned = lineage.materialize("source_files", "photos")

    assert not scanned.success
    assert str(lineage.library.root) in failure_of(scanned)
    assert lineage.library.states() == rows


def test_what_a_source_leaves_out_is_not_in_the_catalog(new_lineage: Lineage) -> None:
    text = new_lineage.config_file.read_text()
    new_lineage.config_file.write_text(
        text.replace(
            "removable = true", "removable = true\nexclude = ['/2023/0*.jpg', '2024/']\nhidden = true"
        )
    )
    draw_photo(new_lineage.library.root / ".hidden/a.jpg", 500)
    with open_lineage(new_lineage.config_file) as lineage:
        lineage.must_materialize("catalog_schema")
        lineage.must_materialize("source_files", "photos")
        found = list(lineage.library.states())
    assert found == [".hidden/a.jpg", *(f"2023/{name}.jpg" for name in ("10", "11", "12", "copy", "torn"))]


def move_to_another_disk(lineage: Lineage) -> Path:
    """Replace a folder of the source by a link to it; its new place."""
    disk = lineage.library.root.with_name("disk")
    (lineage.library.root / "2023").rename(disk)
    (lineage.library.root / "2023").symlink_to(disk)
    return disk


def test_a_link_that_is_not_followed_is_named_with_what_to_do(lineage: Lineage) -> None:
    before = lineage.library.states()
    move_to_another_disk(lineage)

    scanned = metadata_of(lineage.materialize("source_files", "photos"))

    assert (scanned["missing"], scanned["links_left"]) == (15, 1)
    assert scanned["links"].startswith(
        "2023: these links were not followed, because sources.photos.follow_links is 'inside'."
    )
    follow_all_links(lineage)
    with open_lineage(lineage.config_file) as following:
        scanned = metadata_of(following.materialize("source_files", "photos"))
        assert (scanned["returned"], scanned["links_left"], scanned["links"]) == (15, 0, "")
        following.library.register_all()
        assert following.library.states() == before


def follow_all_links(lineage: Lineage) -> None:
    text = lineage.config_file.read_text()
    lineage.config_file.write_text(
        text.replace("removable = true\n", "removable = true\nfollow_links = 'all'\n")
    )


def test_a_link_to_an_unplugged_disk_is_named_with_what_to_do(lineage: Lineage) -> None:
    disk = move_to_another_disk(lineage)
    follow_all_links(lineage)
    with open_lineage(lineage.config_file) as following:
        following.must_materialize("source_files", "photos")
        rows = lineage.library.states()
        disk.rename(disk.with_name("unplugged"))
        scanned = following.materialize("source_files", "photos")

    assert lineage.library.states() == rows
    assert metadata_of(scanned)["missing"] == 0
    assert str(metadata_of(scanned)["away"]).startswith("2023/ (15 images): ")
    assert "Mount the disk" in str(metadata_of(scanned)["away"])
