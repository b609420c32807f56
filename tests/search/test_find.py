"""Finding images of a built library: by image, by text, and as pictures."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from photolineage.models.registry import ModelChangedError, ModelNotLoadedError
from photolineage.models.text_encoder import ensure_text_encoder
from photolineage.search.find import FoundImages, find_images
from photolineage.search.query import OUTDATED, Query, Weighted
from photolineage.settings import ConfigurationError, ModelSettings
from photolineage.stores.pictures import COLUMNS, Picture, contact_sheet, locate_images, read_previews
from photolineage.stores.root_folder import StorageError
from photolineage.stores.vector_index import IndexNotBuiltError
from tests.library import Library, draw_photo, write_tiny_model


@pytest.fixture
def built(library: Library) -> Library:
    library.build()
    return library


def find(library: Library, query: Query, **settings: object) -> FoundImages:
    return find_images(library.settings, library.engine, "tiny-a", query, **settings)  # type: ignore[arg-type]


def text(words: str) -> Query:
    return Query(texts=(Weighted(words),))


def like(*image_ids: int) -> Query:
    return Query(image_ids=tuple(map(Weighted, image_ids)))


def paths(library: Library, found: FoundImages) -> list[str]:
    return [hit.path.relative_to(library.root).as_posix() for hit in found.hits]


def test_an_image_file_finds_itself_first(built: Library) -> None:
    found = find(built, Query(image_files=(Weighted(built.root / "2024/07.jpg"),)), k=3)
    assert len(found.hits) == 3
    best = found.hits[0]
    assert (best.path, best.source, best.copies) == (built.root / "2024/07.jpg", "photos", ())
    scores = [hit.score for hit in found.hits if hit.score is not None]
    assert scores[0] > 0.999
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


def test_an_image_of_the_library_finds_others(built: Library) -> None:
    image_id = built.images()["2024/07.jpg"].id
    found = find(built, like(image_id), k=5)
    assert len(found.hits) == 5
    assert all(hit.path.is_file() for hit in found.hits)


def test_a_copy_stands_for_the_first_of_its_content_and_is_shown_with_it(built: Library) -> None:
    images = built.images()
    found = find(built, like(images["2023/copy.jpg"].id), k=26)
    assert found.hits[0].image_id == images["2023/03.jpg"].id
    assert found.hits[0].copies == (built.root / "2023/copy.jpg",)
    assert len(paths(built, found)) == len(set(paths(built, found))) == 26
    assert "2023/copy.jpg" not in paths(built, found)


def test_pages_follow_each_other(built: Library) -> None:
    query = like(built.images()["2024/07.jpg"].id)
    whole = paths(built, find(built, query, k=26))
    pages = [paths(built, find(built, query, k=10, page=page)) for page in (1, 2, 3)]
    assert [path for page in pages for path in page] == whole
    assert [len(page) for page in pages] == [10, 10, 6]
    assert find(built, query, k=10, page=4).hits == []


def test_a_text_finds_as_many_images_as_asked_for(built: Library) -> None:
    hits = find(built, text("a mountain"), k=4).hits
    assert len({hit.image_id for hit in hits}) == 4
    assert all(hit.score is not None and -1 <= hit.score <= 1 for hit in hits)


def test_the_exported_text_half_finds_what_the_model_finds(built: Library) -> None:
    by_model = find(built, text("a mountain"), k=26)
    export_text_half(built)
    by_export = find(built, text("a mountain"), k=26)
    assert [hit.image_id for hit in by_export.hits] == [hit.image_id for hit in by_model.hits]
    assert [hit.score for hit in by_export.hits] == pytest.approx(
        [hit.score for hit in by_model.hits], abs=1e-5
    )


def test_a_model_that_has_embedded_nothing_is_refused_where_there_are_images(library: Library) -> None:
    library.scan()
    with pytest.raises(ModelNotLoadedError, match="model 'tiny-a'"):
        find(library, text("a mountain"))


def test_an_empty_library_is_an_empty_list(library: Library) -> None:
    found = find(library, text("a mountain"))
    assert (found.hits, found.notes) == ([], ("the library has no images yet",))


def test_an_index_that_is_not_built_is_an_error(library: Library) -> None:
    library.scan()
    library.register_all()
    library.embed_all()
    with pytest.raises(IndexNotBuiltError, match="photolineage run --model tiny-a"):
        find(library, text("a mountain"))


def test_an_index_older_than_its_embeddings_answers_and_says_so(built: Library) -> None:
    draw_photo(built.root / "2024/13.jpg", 100)
    built.scan()
    built.register_all()
    built.embed_all()
    query = like(built.images()["2024/07.jpg"].id)
    found = find(built, query, k=50)
    assert (len(found.hits), found.notes) == (26, (OUTDATED,))
    built.index()
    found = find(built, query, k=50)
    assert (len(found.hits), found.notes) == (27, ())


def test_an_index_without_the_newest_images_is_up_to_date_once_they_are_gone(built: Library) -> None:
    newest = draw_photo(built.root / "2024/13.jpg", 100)
    built.build()
    newest.unlink()
    built.build()
    assert find(built, like(built.images()["2024/07.jpg"].id)).notes == ()


def test_the_templates_are_a_setting_of_all_models_and_of_one(built: Library) -> None:
    plain = find(built, text("a photo of a mountain."), k=26)
    settings = built.settings.model_copy(update={"prompt_templates": ("a photo of {}.",)})
    found = find_images(settings, built.engine, "tiny-a", text("a mountain"), k=26)
    assert [hit.score for hit in found.hits] == pytest.approx([hit.score for hit in plain.hits], abs=1e-5)
    own = settings.models["tiny-a"].model_copy(update={"prompt_templates": ("{}",)})
    settings = settings.model_copy(update={"models": settings.models | {"tiny-a": own}})
    assert settings.prompt_templates_of("tiny-a") == ("{}",)
    assert settings.prompt_templates_of("tiny-b") == ("a photo of {}.",)


def test_the_hits_are_drawn_as_a_sheet(built: Library, tmp_path: Path) -> None:
    found = find(built, text("a mountain"), k=6)
    found.write_sheet(tmp_path / "sheet.png")
    with PillowImage.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == contact_sheet(_pictures(built, 6)).size
        assert len(sheet.convert("RGB").getcolors(2**20) or []) > 100


def export_text_half(library: Library) -> None:
    embedder, _ = library.embedder()
    digest = embedder.facts.weights_digest
    assert ensure_text_encoder(library.files, "tiny-a", digest, embedder.export_text_encoder) is None


def configured_as(library: Library, models: dict[str, ModelSettings]) -> Library:
    return replace(library, settings=library.settings.model_copy(update={"models": models}))


def test_other_weights_under_a_known_key_do_not_search_its_index(built: Library, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", dim=16, seed=99)
    changed = configured_as(built, {"tiny-a": ModelSettings(architecture=f"local-dir:{other}")})
    picture = Query(image_files=(Weighted(built.root / "2024/07.jpg"),))
    digest = built.embedder()[0].facts.weights_digest
    for query in (picture, text("a mountain")):
        with pytest.raises(ModelChangedError, match=rf"(?s)models\.tiny-a: .*recorded: .*{digest}.*loaded: "):
            find(changed, query)
    export_text_half(built)
    assert find(changed, text("a mountain")).hits == find(built, text("a mountain")).hits
    assert find(changed, like(1)).hits == find(built, like(1)).hits


def test_a_model_that_is_not_configured_any_more_searches_by_what_is_there_of_it(built: Library) -> None:
    removed = configured_as(built, {})
    assert len(find(removed, like(1), k=5).hits) == 5
    for query in (Query(image_files=(Weighted(built.root / "2024/07.jpg"),)), text("a mountain")):
        with pytest.raises(
            ConfigurationError,
            match=r"model 'tiny-a' is .* not in the configuration, .* Put \[models\.tiny-a\] back into .*\.toml",
        ):
            find(removed, query)
    export_text_half(built)
    assert find(removed, text("a mountain")).hits == find(built, text("a mountain")).hits


@pytest.mark.parametrize("name", ["nowhere/sheet.png", "sheet.doc", "sheet"])
def test_a_sheet_that_cannot_be_written_is_named(built: Library, tmp_path: Path, name: str) -> None:
    found = find(built, like(built.images()["2024/07.jpg"].id), k=1)
    with pytest.raises(StorageError, match=f"{name}: cannot write the picture"):
        found.write_sheet(tmp_path / name)


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
