"""Sidecars in the lineage: the scan finds them, registration reads them, and a change makes their image due."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from photolineage.catalog.orm import Image, ImageNote
from photolineage.catalog.vocabulary import ImageState, TakenAtSource
from photolineage.steps.tree_walk import TreeWalk
from tests.library import Library, draw_photo, touch
from tests.media.test_xmp import packet
from tests.steps.conftest import counts
from tests.steps.trees import SUFFIXES, make


def with_two_photos(library: Library) -> Library:
    """The library, with nothing but two photos in two folders."""
    shutil.rmtree(library.root)
    for number, name in enumerate(("2023/a.jpg", "2024/a.jpg")):
        draw_photo(library.root / name, number)
    return library


@pytest.fixture
def small(library: Library) -> Library:
    return with_two_photos(library)


def write(library: Library, name: str, keyword: str, attributes: str = "") -> Path:
    path = library.root / name
    path.write_bytes(packet(f"<dc:subject>{keyword}</dc:subject>", attributes))
    return path


def notes(library: Library) -> list[tuple[str, str, str, str | None]]:
    """Path, field, value and origin of what is stored, as it was read."""
    statement = (
        select(Image.path, ImageNote.field, ImageNote.value, ImageNote.origin)
        .join(Image, Image.id == ImageNote.image_id)
        .order_by(Image.path, ImageNote.id)
    )
    with library.engine.connect() as connection:
        return [
            (path, str(field), value, origin) for path, field, value, origin in connection.execute(statement)
        ]


def again(library: Library) -> dict[str, int]:
    """Scan and register again, as every run does. Returns what the scan counted."""
    found = counts(library.scan())
    library.register_all()
    return found


def test_a_sidecar_that_appears_changes_moves_or_goes_makes_its_image_due(any_library: Library) -> None:
    small = with_two_photos(any_library)
    assert again(small) == {"files": 2, "new": 2}
    content = {row.content_hash for row in small.images().values()}
    sidecar = write(small, "2023/a.jpg.xmp", "Sea")
    assert again(small) == {"files": 2, "changed": 1, "unchanged": 1}
    assert notes(small) == [("2023/a.jpg", "keyword", "Sea", "a.jpg.xmp")]
    assert again(small) == {"files": 2, "unchanged": 2}

    write(small, "2023/a.jpg.xmp", "Sun")
    touch(sidecar)
    assert again(small) == {"files": 2, "changed": 1, "unchanged": 1}
    assert notes(small) == [("2023/a.jpg", "keyword", "Sun", "a.jpg.xmp")]

    sidecar.rename(small.root / "2024/a.jpg.xmp")
    assert again(small) == {"files": 2, "changed": 2}
    assert notes(small) == [("2024/a.jpg", "keyword", "Sun", "a.jpg.xmp")]

    (small.root / "2024/a.jpg.xmp").unlink()
    assert again(small) == {"files": 2, "changed": 1, "unchanged": 1}
    assert notes(small) == []
    assert {row.content_hash for row in small.images().values()} == content
    assert [row.sidecars for row in small.images().values()] == [None, None]


def test_a_changed_sidecar_leaves_the_embeddings(library: Library) -> None:
    library.build()
    before = library.images()
    write(library, "2023/00.xmp", "Sea")
    again(library)
    assert library.embed_all()[before["2023/00.jpg"].shard].embedded == 0
    after = library.images()["2023/00.jpg"]
    assert after.embedded_models == before["2023/00.jpg"].embedded_models != 0


def test_a_corrected_time_comes_into_the_catalog_and_goes_with_its_sidecar(small: Library) -> None:
    sidecar = small.root / "2023/a.jpg.json"
    sidecar.write_text(
        json.dumps({"photoTakenTime": {"timestamp": "1564653600"}, "people": [{"name": "Anna"}]})
    )
    again(small)
    image = small.images()["2023/a.jpg"]
    assert (image.taken_at.isoformat(), image.taken_at_source) == (
        "2019-08-01T10:00:00+00:00",
        TakenAtSource.SIDECAR,
    )
    assert [row[1:] for row in notes(small)] == [
        ("person", "Anna", "a.jpg.json"),
        ("time", "2019-08-01T10:00:00+00:00", "a.jpg.json"),
    ]
    sidecar.unlink()
    again(small)
    assert small.images()["2023/a.jpg"].taken_at_source is TakenAtSource.FILE_TIME


def test_a_broken_sidecar_is_recorded_and_its_image_is_registered(small: Library) -> None:
    (small.root / "2023/a.xmp").write_bytes(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    (small.root / "2024/a.xmp").symlink_to("/dev/zero")
    again(small)
    assert {row.state for row in small.images().values()} == {ImageState.REGISTERED}
    (problem,) = notes(small)  # a link out of the source is not followed
    assert problem[:2] == ("2023/a.jpg", "problem")
    assert "document type" in problem[2]


def test_what_is_written_moves_with_the_photo(small: Library) -> None:
    sidecar = write(small, "2023/a.jpg.xmp", "Sea")
    again(small)
    ids = {path: row.id for path, row in small.images().items()}
    (small.root / "2022").mkdir()
    (small.root / "2023/a.jpg").rename(small.root / "2022/b.jpg")
    sidecar.rename(small.root / "2022/b.jpg.xmp")
    again(small)
    assert small.images()["2022/b.jpg"].id == ids["2023/a.jpg"]
    assert notes(small) == [("2022/b.jpg", "keyword", "Sea", "b.jpg.xmp")]


def test_a_photo_that_cannot_be_read_any_more_has_no_notes(small: Library) -> None:
    write(small, "2023/a.jpg.xmp", "Sea")
    again(small)
    (small.root / "2023/a.jpg").write_bytes(b"no picture")
    again(small)
    assert notes(small) == []


def test_the_walk_counts_what_is_beside_images(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.jpg",
        "a.jpg.xmp",
        "a.mov",
        "a.aae",
        "b.aae",
        "b.mov",
        "b.xmp",
        "c/a.json",
        "d/d.jpg",
        "d/d.xmp",
    )
    walk = TreeWalk(tmp_path, SUFFIXES, ["d/*.xmp"])
    assert [(file.path, file.sidecars.split("/")[0]) for file in walk.files()] == [
        ("a.jpg", "a.jpg.xmp"),
        ("d/d.jpg", ""),
    ]
    assert walk.sidecars_found == 1
    assert walk.passed_over == {
        "Apple's edits (.aae)": 2,
        "live photos (.mov)": 1,
        ".mov": 1,
        ".xmp": 1,
        ".json": 1,
    }
