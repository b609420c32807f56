import dataclasses
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from photolineage.demo import library as demo_library
from photolineage.demo.library import render_library
from photolineage.demo.plan import COMPACT, PHONE, plan_library
from photolineage.demo.scenes import SCENES
from photolineage.demo.truth import ImageKind, LibraryTruth
from tests.demo.conftest import DrawnLibrary


@pytest.fixture
def short_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of four photos and two frames of a burst, so that a test may draw it several times."""
    plan = plan_library()
    party = [shot for shot in plan.shots if shot.truth.scene == "birthday_table"]
    photos = [*(shot for shot in party if shot.camera is COMPACT)][:2]
    photos += [*(shot for shot in party if shot.camera is PHONE)][:2]
    burst = [shot for shot in plan.shots if shot.truth.kind is ImageKind.BURST][:2]
    short = dataclasses.replace(plan, shots=(*photos, *burst))
    monkeypatch.setattr(demo_library, "plan_library", lambda: short)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_truth_names_exactly_the_files_drawn(drawn_library: DrawnLibrary) -> None:
    named = [image.path for image in drawn_library.truth.images]
    assert named == sorted(set(named))
    assert set(_files(drawn_library.photos)) == set(named)
    assert LibraryTruth.read(drawn_library.truth_file) == drawn_library.truth


def test_the_library_holds_what_a_real_one_does(drawn_library: DrawnLibrary) -> None:
    truth = drawn_library.truth
    assert Counter(image.kind for image in truth.images) == {
        ImageKind.PHOTO: 293,
        ImageKind.BURST: 6,
        ImageKind.DUPLICATE: 1,
        ImageKind.SCREENSHOT: 1,
        ImageKind.CORRUPT: 2,
    }
    assert len(truth.events) == 21
    assert {image.scene for image in truth.images if image.scene} == set(SCENES)
    assert {image.camera for image in truth.images} == {PHONE.name, COMPACT.name, None}


def test_each_scene_has_enough_photos_for_a_page_of_hits(drawn_library: DrawnLibrary) -> None:
    of_scene = Counter(image.scene for image in drawn_library.truth.images if image.scene)
    assert min(of_scene.values()) >= 10


def test_events_follow_each_other_and_hold_their_images(drawn_library: DrawnLibrary) -> None:
    truth = drawn_library.truth
    for event in truth.events:
        times = [image.taken_at for image in truth.images if image.event == event.id]
        assert (min(times), max(times)) == (event.start, event.end)
    gaps = [later.start - earlier.end for earlier, later in zip(truth.events, truth.events[1:], strict=False)]
    assert min(gap.days for gap in gaps) >= 4
    assert (truth.events[-1].end - truth.events[0].start).days // 30 == 22


def test_a_readable_file_is_a_whole_picture(drawn_library: DrawnLibrary) -> None:
    sizes: Counter[str | None] = Counter()
    for image in drawn_library.truth.images:
        if image.kind is not ImageKind.CORRUPT:
            with Image.open(drawn_library.photos / image.path) as picture:
                picture.draft("RGB", (128, 128))
                picture.load()
                sizes[picture.format] += 1
    assert sizes == {"JPEG": 300, "PNG": 1}


def test_the_corrupt_files_do_not_open(drawn_library: DrawnLibrary) -> None:
    corrupt = [image for image in drawn_library.truth.images if image.kind is ImageKind.CORRUPT]
    assert len(corrupt) == 2
    for image in corrupt:
        with (
            pytest.raises(OSError, match=r"cannot identify|Truncated"),
            Image.open(drawn_library.photos / image.path),
        ):
            pass
        assert (image.event, image.scene) == (None, None)


def test_the_duplicate_is_the_same_file_elsewhere(drawn_library: DrawnLibrary) -> None:
    (duplicate,) = (image for image in drawn_library.truth.images if image.kind is ImageKind.DUPLICATE)
    twins = [
        image.path
        for image in drawn_library.truth.images
        if image.taken_at == duplicate.taken_at and image.path != duplicate.path
    ]
    contents = [(drawn_library.photos / path).read_bytes() for path in (duplicate.path, *twins)]
    assert len(contents) == 2
    assert contents[0] == contents[1]


def test_the_screenshot_has_no_exif(drawn_library: DrawnLibrary) -> None:
    (screenshot,) = (image for image in drawn_library.truth.images if image.kind is ImageKind.SCREENSHOT)
    with Image.open(drawn_library.photos / screenshot.path) as picture:
        assert not picture.getexif()
    assert (screenshot.event, screenshot.scene, screenshot.camera) == (None, None, None)


def test_the_burst_is_one_motif_within_a_second(drawn_library: DrawnLibrary) -> None:
    frames = [image for image in drawn_library.truth.images if image.kind is ImageKind.BURST]
    times = [frame.taken_at for frame in frames]
    assert (max(times) - min(times)).total_seconds() == pytest.approx(0.7)
    assert {frame.scene for frame in frames} == {"beach_at_sunset"}
    assert len({(drawn_library.photos / frame.path).read_bytes() for frame in frames}) == len(frames)


def test_folders_look_like_a_phone_s_and_a_tidy_person_s(drawn_library: DrawnLibrary) -> None:
    photos = [
        image for image in drawn_library.truth.images if image.kind in (ImageKind.PHOTO, ImageKind.BURST)
    ]
    phone = [image.path for image in photos if image.camera == PHONE.name]
    tidy = [image.path for image in photos if image.camera != PHONE.name]
    assert min(len(phone), len(tidy)) > 50
    assert [path for path in phone if not re.fullmatch(r"Phone/IMG_\d{8}_\d{6}\.jpg", path)] == []
    pattern = r"(202[34])/\1-\d\d-\d\d [\w ]+/DSC\d{5}\.jpg"
    assert [path for path in tidy if not re.fullmatch(pattern, path)] == []


def test_a_complete_library_is_left_as_it_is(drawn_library: DrawnLibrary) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn_library.photos.parent.rglob("*")}
    calls: list[tuple[int, int]] = []
    truth = render_library(
        drawn_library.photos,
        drawn_library.truth_file,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    assert truth == drawn_library.truth
    assert {path: path.stat().st_mtime_ns for path in drawn_library.photos.parent.rglob("*")} == before
    assert calls == []


@pytest.mark.usefixtures("short_plan")
def test_the_library_is_the_same_everywhere_and_a_damaged_one_is_drawn_anew(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    first = render_library(
        tmp_path / "a", tmp_path / "a.json", on_progress=lambda done, total: calls.append((done, total))
    )
    second = render_library(tmp_path / "b", tmp_path / "b.json")
    assert calls == [(done, 10) for done in (1, 2, 3, 4, 5, 6, 10)]
    assert first == second
    assert _files(tmp_path / "a") == _files(tmp_path / "b")

    drawn = _files(tmp_path / "a")
    victim = tmp_path / "a" / first.images[-1].path
    victim.write_bytes(b"overwritten")
    assert render_library(tmp_path / "a", tmp_path / "a.json") == first
    assert _files(tmp_path / "a") == drawn


@pytest.mark.usefixtures("short_plan")
def test_an_interrupted_library_has_no_truth_until_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(demo_library, "_write_extras", fail)
        with pytest.raises(OSError, match="No space left"):
            render_library(tmp_path / "photos", tmp_path / "truth.json")
    assert not (tmp_path / "truth.json").exists()
    complete = render_library(tmp_path / "photos", tmp_path / "truth.json")
    assert LibraryTruth.read(tmp_path / "truth.json") == complete
