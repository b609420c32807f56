"""Finding images of a built library: by image, by text, and as pictures."""

from pathlib import Path

import pytest
from PIL import Image as PillowImage

from pipeline.finding import FoundImages, find_images
from pipeline.model_registry import ModelNotLoadedError
from pipeline.pictures import COLUMNS, Picture, contact_sheet, locate_images, read_previews
from pipeline.search import QueryError
from tests.library import Library


@pytest.fixture
def built(library: Library) -> Library:
    library.build()
    return library


def find(library: Library, **query: object) -> FoundImages:
    return find_images(library.settings, library.engine, "tiny-a", **query)  # type: ignore[arg-type]


def test_an_image_file_finds_itself_first(built: Library) -> None:
    found = find(built, image=built.root / "2024/07.jpg", k=3)
    assert len(found.hits) == 3
    best = found.hits[0]
    assert (best.path, best.source) == (built.root / "2024/07.jpg", "photos")
    assert best.score > 0.999
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)


def test_an_image_of_the_library_finds_others(built: Library) -> None:
    image_id = built.images()["2024/07.jpg"].id
    found = find(built, image_id=image_id, k=5)
    assert len(found.hits) == 5
    assert all(hit.path.is_file() for hit in found.hits)


def test_a_text_finds_as_many_images_as_asked_for(built: Library) -> None:
    hits = find(built, text="a mountain", k=4).hits
    assert len({hit.image_id for hit in hits}) == 4
    assert all(-1 <= hit.score <= 1 for hit in hits)


def test_a_query_for_nothing_and_an_unknown_model_are_refused(library: Library) -> None:
    with pytest.raises(QueryError, match="nothing to look for"):
        find(library)
    with pytest.raises(ModelNotLoadedError):
        find(library, text="a mountain")


def test_the_hits_are_drawn_as_a_sheet(built: Library, tmp_path: Path) -> None:
    found = find(built, text="a mountain", k=6)
    found.write_sheet(tmp_path / "sheet.png")
    with PillowImage.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == contact_sheet(_pictures(built, 6)).size
        assert len(sheet.convert("RGB").getcolors(2**20) or []) > 100


def _pictures(library: Library, count: int) -> list[Picture]:
    ids = [row.id for row in library.images().values() if row.content_hash][:count]
    jpegs = read_previews(library.engine, library.previews, ids)
    return [Picture(jpegs[image_id], str(image_id)) for image_id in ids]


def test_a_sheet_has_as_many_rows_as_it_needs(built: Library) -> None:
    one, full, more = (contact_sheet(_pictures(built, count)) for count in (1, COLUMNS, COLUMNS + 1))
    assert one.height == full.height
    assert one.width < full.width == more.width
    assert full.height < more.height
    assert contact_sheet([]).size == one.size


def test_previews_and_places_are_found_by_image_in_any_state(built: Library) -> None:
    images = built.images()
    good, torn = images["2023/00.jpg"], images["2023/torn.jpg"]
    assert list(read_previews(built.engine, built.previews, [good.id, torn.id, 4711])) == [good.id]
    places = locate_images(built.engine, [good.id, torn.id, 4711])
    assert {image_id: place.path for image_id, place in places.items()} == {
        good.id: built.root / "2023/00.jpg",
        torn.id: built.root / "2023/torn.jpg",
    }
    (built.root / "2023/00.jpg").unlink()
    built.scan()
    assert list(read_previews(built.engine, built.previews, [good.id])) == [good.id]
