"""Finding the photo that somebody asks for: ids, paths, links, and several sources."""

from pathlib import Path

import pytest

from photolineage.explain.answer import explain_photo
from photolineage.explain.places import UnknownPhotoError
from photolineage.settings import Settings
from photolineage.settings.sections import SourceSettings
from tests.explain.conftest import explain, findings, states
from tests.library import Library, draw_photo


@pytest.fixture
def scanned(library: Library) -> Library:
    library.scan()
    return library


def with_sources(library: Library, **sources: Path) -> Settings:
    """The settings of the library, with more sources."""
    more = {key: SourceSettings(root=root) for key, root in sources.items()}
    return library.settings.model_copy(update={"sources": library.settings.sources | more})


def test_by_id_and_by_every_way_to_write_its_path(scanned: Library, tmp_path: Path) -> None:
    image_id = scanned.images()["2023/05.jpg"].id
    (tmp_path / "link").symlink_to(scanned.root)
    file = scanned.root / "2023/05.jpg"
    for asked, folder in (
        (str(image_id), None),
        (str(file), None),
        (f"{scanned.root}/2024/../2023/./05.jpg", None),
        (f"{tmp_path}/link/2023/05.jpg", None),
        ("05.jpg", scanned.root / "2023"),
        ("2023/05.jpg", tmp_path),
        ("2023/05.jpg", None),
    ):
        explained = explain(scanned, asked, folder=folder)
        assert (explained.image_id, explained.path, explained.source) == (image_id, file, "photos"), asked


def test_the_path_through_a_link_leads_to_the_image_that_the_scan_recorded(library: Library) -> None:
    (library.root / "zlink").symlink_to(library.root / "2023")
    library.scan()
    explained = explain(library, str(library.root / "zlink/05.jpg"))
    assert explained.path == library.root / "2023/05.jpg"
    assert explained.image_id == library.images()["2023/05.jpg"].id


def test_a_folder_that_was_entered_under_another_path(library: Library) -> None:
    (library.root / "0link").symlink_to(library.root / "2023")
    library.scan()
    assert "2023/05.jpg" not in library.images()
    found = findings(library, str(library.root / "2023/05.jpg"))["scan"]
    assert found.state == "not recorded"
    assert "through a link, under another path" in found.reason


def test_one_answer_for_each_source_that_contains_it(scanned: Library) -> None:
    settings = with_sources(scanned, inner=scanned.root / "2023")
    outer, inner = explain_photo(settings, scanned.engine, str(scanned.root / "2023/05.jpg"))
    assert (outer.source, inner.source) == ("photos", "inner")
    assert outer.path == inner.path
    assert (outer.image_id is None, inner.image_id) == (False, None)
    assert [f.state for f in inner.findings] == ["there", "yes", "not yet"]


def test_below_no_source_the_closest_are_named(scanned: Library, tmp_path: Path) -> None:
    photo = draw_photo(tmp_path / "photos-of-others/a.jpg", 900)
    far = Path("/")
    settings = with_sources(scanned, far=far.resolve() / "mnt")
    found = findings(scanned, str(photo), settings=settings)
    assert {stage: finding.state for stage, finding in found.items()} == {"file": "there", "source": "none"}
    assert found["source"].reason == (
        f"the path is not below any source. The closest: photos ({scanned.root}), far (/mnt)"
    )
    assert "photolineage run --photos <folder>" in found["source"].remedy
    assert states(scanned, str(tmp_path / "gone.svg")) == {
        "file": "not there",
        "source": "none",
        "format": "passed over",
    }


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("999", "image 999 is not in the catalog. `photolineage search` shows the ids of images"),
        (str(2**70), f"image {2**70} is not in the catalog"),
        ("", "'' names no photo"),
        ("a\0b", r"'a\x00b' names no photo"),
        ("2025/none.jpg", "2025/none.jpg: there is no such file below any source"),
    ],
)
def test_what_names_no_photo_is_refused(scanned: Library, asked: str, message: str) -> None:
    with pytest.raises(UnknownPhotoError) as refused:
        explain(scanned, asked)
    assert message in str(refused.value)
