"""A moved file is the image that it was: it keeps its id, its shard and its embedding."""

import shutil

import pytest
from sqlalchemy import insert, select

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Event, EventImage
from photolineage.catalog.vocabulary import ImageState
from tests.library import Library, draw_photo, touch


def test_a_moved_file_keeps_its_id_its_shard_and_its_embedding(any_library: Library) -> None:
    library = any_library
    library.build()
    before = library.images()["2023/00.jpg"]
    revision = library.revision(before.shard)
    (library.root / "2024/new folder").mkdir()
    (library.root / "2023/00.jpg").rename(library.root / "2024/new folder/00.jpg")
    library.scan()
    assert library.images()["2023/00.jpg"].state == ImageState.MISSING

    reports = library.register_all()

    assert [report.moved for report in reports.values()] == [0, 0, 1]
    images = library.images()
    moved = images["2024/new folder/00.jpg"]
    assert "2023/00.jpg" not in images
    assert len(images) == 28
    assert (moved.id, moved.shard, moved.state) == (before.id, before.shard, ImageState.REGISTERED)
    assert (moved.content_hash, moved.discovered_at) == (before.content_hash, before.discovered_at)
    assert library.revision(before.shard) == revision + 2  # gone, and found again
    library.register_all()
    assert [report.embedded for report in library.embed_all().values()] == [0, 0, 0]
    assert library.index().change.removed == 0
    assert library.live().missing == 0
    assert library.scan().unchanged == 28


def test_a_file_that_was_copied_and_deleted_later_is_moved_whatever_its_time(library: Library) -> None:
    library.build()
    before = library.images()["2023/04.jpg"]
    shutil.copy(library.root / "2023/04.jpg", library.root / "2024/another name.jpg")
    touch(library.root / "2024/another name.jpg")
    (library.root / "2023/04.jpg").unlink()
    library.scan()
    library.register_all()
    moved = library.images()["2024/another name.jpg"]
    assert moved.id == before.id
    assert moved.mtime_ns == (library.root / "2024/another name.jpg").stat().st_mtime_ns


def test_of_several_missing_copies_the_one_of_the_same_name_moved(library: Library) -> None:
    """2023/copy.jpg is a copy of 2023/03.jpg; both folders' files are moved, and each keeps its own id."""
    library.build()
    before = library.images()
    (library.root / "2023").rename(library.root / "2025")
    library.scan()
    library.register_all()
    after = library.images()
    moved = {path for path in before if path.startswith("2023/") and path != "2023/torn.jpg"}
    assert {path: after[path.replace("2023", "2025")].id for path in moved} == {
        path: before[path].id for path in moved
    }
    assert after["2025/copy.jpg"].duplicate_of_id == after["2025/03.jpg"].id
    assert after["2023/torn.jpg"].state == ImageState.MISSING  # nothing of its content is known
    assert {report.embedded for report in library.embed_all().values()} == {0}
    assert library.live().missing == 0


def test_a_copy_of_an_image_that_is_still_there_is_a_new_image(library: Library) -> None:
    library.build()
    shutil.copy(library.root / "2023/00.jpg", library.root / "2024/copy.jpg")
    library.scan()
    assert sum(report.moved for report in library.register_all().values()) == 0
    images = library.images()
    assert images["2024/copy.jpg"].duplicate_of_id == images["2023/00.jpg"].id


def test_a_file_moved_over_another_leaves_both_ids(library: Library) -> None:
    library.build()
    before = library.images()
    (library.root / "2023/00.jpg").rename(library.root / "2024/00.jpg")
    touch(library.root / "2024/00.jpg")
    library.scan()
    assert sum(report.moved for report in library.register_all().values()) == 0
    after = library.images()
    assert after["2023/00.jpg"].state == ImageState.MISSING
    assert after["2024/00.jpg"].id == before["2024/00.jpg"].id
    assert after["2024/00.jpg"].content_hash == before["2023/00.jpg"].content_hash


def test_another_source_with_the_same_content_takes_nothing_over(library: Library) -> None:
    library.build()
    root = library.root.with_name("disk")
    root.mkdir()
    shutil.move(library.root / "2023/00.jpg", root / "00.jpg")
    sources = {"disk": library.settings.sources["photos"].model_copy(update={"root": root})}
    disk = Library(library.settings.model_copy(update={"sources": sources}), library.engine, "disk")
    library.scan()
    disk.scan()
    assert disk.register("disk-00000").moved == 0
    assert library.images()["2023/00.jpg"].state == ImageState.MISSING


def test_a_place_that_a_moved_file_left_is_taken_by_a_new_image(library: Library) -> None:
    library.build()
    before = library.images()["2023/00.jpg"]
    (library.root / "2023/00.jpg").rename(library.root / "2024/moved.jpg")
    library.scan()
    library.register_all()
    draw_photo(library.root / "2023/00.jpg", 900)
    assert library.scan().new == 1
    images = library.images()
    assert images["2023/00.jpg"].id != images["2024/moved.jpg"].id == before.id


def scan_until_killed(library: Library) -> None:
    """A scan that commits the new files that it finds and does not come to its end."""

    def interrupt(_: object) -> None:
        if len(library.images()) > 28:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.scan(on_progress=interrupt)


def make_event(library: Library, *images: int) -> None:
    """An event with these images, as a clustering between the scans makes it."""
    before = library.images()
    times = [row.taken_at for row in before.values() if row.id in images]
    with write_transaction(library.engine) as connection:
        event = connection.execute(
            insert(Event)
            .values(
                model_id=1,
                title="an event",
                starts_at=min(times),
                ends_at=max(times),
                image_count=len(images),
                cover_image_id=images[0],
                confidence=1.0,
                updated_at=max(times),
            )
            .returning(Event.id)
        ).scalar_one()
        connection.execute(
            insert(EventImage), [{"model_id": 1, "image_id": image, "event_id": event} for image in images]
        )


def test_files_that_were_registered_anew_before_their_scan_came_to_its_end_have_moved(
    any_library: Library,
) -> None:
    library = any_library
    library.build()
    before = library.images()
    (library.root / "2023").rename(library.root / "2025")
    scan_until_killed(library)
    library.register_all()
    assert {report.embedded for report in library.embed_all().values()} == {0}
    copies = library.images()
    assert copies["2025/00.jpg"].duplicate_of_id == copies["2023/00.jpg"].id
    make_event(library, copies["2023/00.jpg"].id, copies["2025/00.jpg"].id)

    report = library.scan()

    assert (report.moved, report.missing, report.new) == (14, 1, 0)  # torn.jpg has no content to know it by
    after = library.images()
    moved = {path for path in before if path.startswith("2023/") and path != "2023/torn.jpg"}
    assert {after[path.replace("2023", "2025")].id for path in moved} == {before[path].id for path in moved}
    assert [path for path in after if path.startswith("2023/")] == ["2023/torn.jpg"]
    assert {path: row.duplicate_of_id for path, row in after.items() if row.duplicate_of_id} == {
        "2025/copy.jpg": after["2025/03.jpg"].id
    }
    with library.engine.connect() as connection:
        assert list(connection.execute(select(EventImage.image_id)).scalars()) == [before["2023/00.jpg"].id]
    library.register_all()
    assert {report.embedded for report in library.embed_all().values()} == {0}
    assert library.live().missing == 0
    assert library.scan().unchanged == 28


def test_a_copy_that_a_whole_scan_has_seen_beside_the_original_stays_an_image(library: Library) -> None:
    library.build()
    copy = library.images()["2023/copy.jpg"]
    (library.root / "2023/03.jpg").unlink()
    report = library.scan()
    assert (report.moved, report.missing) == (0, 1)
    assert library.images()["2023/copy.jpg"].id == copy.id
