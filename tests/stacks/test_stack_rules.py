"""Which photos of a folder are one stack, and which of them shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from photolineage.catalog.vocabulary import StackRule
from photolineage.stacks.rules import ALIKE_BITS, Place, StackFile, assemble, find_links, rank

NOON = datetime(2024, 7, 20, 12, tzinfo=UTC)
EDITED, SAME_SHOT, BURST = StackRule.EDITED, StackRule.SAME_SHOT, StackRule.BURST
UNLIKE = 2 ** (ALIKE_BITS + 1) - 1


def photo(name: str, seconds: float | None = 0, **facts: Any) -> StackFile:
    """A photo by one camera. Photos look the same unless a hash is given."""
    suffix = name.rpartition(".")[2].lower()
    usual: dict[str, Any] = {
        "format": {"jpg": "JPEG", "heic": "HEIF", "tif": "TIFF", "png": "PNG"}.get(suffix, "RAW"),
        "camera": "Canon EOS R5",
        "has_offset": True,
        "perceptual_hash": 0,
        "pixels": 100,
        "quality": 0.5,
        "is_damaged": False,
    }
    taken_at = None if seconds is None else NOON + timedelta(seconds=seconds)
    return StackFile(facts.pop("image_id", -1), name, taken_at=taken_at, **(usual | facts))


def stacks(*photos: StackFile) -> dict[str, tuple[str, StackRule]]:
    """What is behind which photo, by name."""
    numbered = [one._replace(image_id=number) for number, one in enumerate(photos)]
    places = assemble(find_links(numbered), {one.image_id: rank(one) for one in numbered})
    return {
        numbered[image].name: (numbered[place.shown].name, place.rule)
        for image, place in sorted(places.items())
    }


def test_a_raw_file_is_behind_its_jpeg() -> None:
    assert stacks(photo("IMG_0001.CR3", 1.5), photo("img_0001.jpg")) == {
        "IMG_0001.CR3": ("img_0001.jpg", SAME_SHOT)
    }


@pytest.mark.parametrize(
    ("raw", "jpeg"),
    [
        (photo("IMG_0001.CR3"), photo("IMG_0001.jpg", 3)),  # the counter began again
        (photo("IMG_0001.CR3"), photo("IMG_0001.jpg", camera="Nikon D70")),
        (photo("IMG_0001.CR3"), photo("IMG_0002.jpg")),
        (photo("IMG_0001.CR3"), photo("IMG_0001.jpg", None, perceptual_hash=UNLIKE)),
        (photo("IMG_0001.CR3", None), photo("IMG_0001.jpg", None, perceptual_hash=None)),
        (photo("IMG_0001.CR3"), photo("IMG_0001.jpg", 3600)),
        (photo("IMG_0001.CR3", has_offset=False), photo("IMG_0001.jpg", 3610)),
        (photo("IMG_0001.CR3", has_offset=False), photo("IMG_0001.jpg", 15 * 3600)),
    ],
)
def test_a_raw_file_and_a_jpeg_of_other_shots_are_no_stack(raw: StackFile, jpeg: StackFile) -> None:
    assert stacks(raw, jpeg) == {}


def test_without_both_times_a_raw_file_and_its_jpeg_must_look_alike() -> None:
    raw = photo("IMG_0001.CR3", camera=None)
    assert "IMG_0001.CR3" in stacks(raw, photo("IMG_0001.jpg", None, perceptual_hash=2**ALIKE_BITS - 1))


@pytest.mark.parametrize("apart", [7200, -7200, 5.5 * 3600 + 1, -900])
def test_the_assumed_zone_of_one_file_does_not_part_a_shot(apart: float) -> None:
    raw = photo("IMG_0001.CR3", apart, has_offset=False)
    assert "IMG_0001.CR3" in stacks(raw, photo("IMG_0001.jpg"))


def test_two_formats_of_a_shot_need_both_times() -> None:
    heic, jpeg = photo("IMG_0001.HEIC", pixels=200), photo("IMG_0001.jpg")
    assert stacks(heic, jpeg) == {"IMG_0001.jpg": ("IMG_0001.HEIC", SAME_SHOT)}
    assert stacks(heic, photo("IMG_0001.png", None)) == {}
    assert stacks(photo("IMG_0001.jpg"), photo("img_0001.jpg")) == {}


def test_an_edited_copy_shows() -> None:
    shown = ("IMG_E0001.jpg", EDITED)
    found = stacks(photo("IMG_0001.HEIC", pixels=200), photo("IMG_E0001.jpg"), photo("IMG_0001.DNG"))
    assert found == {"IMG_0001.HEIC": shown, "IMG_0001.DNG": ("IMG_E0001.jpg", SAME_SHOT)}


def test_an_edited_copy_of_another_shot_is_no_stack() -> None:
    assert stacks(photo("IMG_0001.jpg"), photo("IMG_0001-edited.jpg", 60)) == {}
    assert stacks(photo("IMG_0001.jpg"), photo("IMG_0001-edited.jpg", None, perceptual_hash=UNLIKE)) == {}
    assert stacks(photo("IMG_0001-edited.jpg"), photo("IMG_0001-bearbeitet.jpg")) == {}


def test_a_pixel_phone_writes_its_raw_file_seconds_later() -> None:
    cover, raw = "PXL_20231207_032111247.RAW-01.COVER.jpg", "PXL_20231207_032111247.RAW-02.ORIGINAL.dng"
    assert stacks(photo(raw, 9), photo(cover)) == {raw: (cover, SAME_SHOT)}
    assert stacks(photo(raw, camera="Pixel 8"), photo(cover, camera="Pixel 9")) == {}


def test_a_named_burst_shows_its_cover() -> None:
    names = [f"IMG_20230101_101112345_BURST{number:03d}{'_COVER' * (number == 2)}.jpg" for number in range(4)]
    found = stacks(*(photo(name, None, quality=1 - number / 10) for number, name in enumerate(names)))
    assert found == {name: (names[2], BURST) for name in names if name != names[2]}


def test_a_burst_shows_its_sharpest_photo() -> None:
    burst = [photo(f"IMG_000{number}.jpg", number // 2, quality=number % 3) for number in range(1, 5)]
    assert stacks(*burst) == {f"IMG_000{number}.jpg": ("IMG_0002.jpg", BURST) for number in (1, 3, 4)}


def test_the_raw_files_of_a_burst_are_in_its_stack() -> None:
    burst = [photo(f"IMG_000{number}.{suffix}", 0) for number in (1, 2) for suffix in ("jpg", "CR3")]
    assert {shown for shown, _ in stacks(*burst).values()} == {"IMG_0001.jpg"}
    assert len(stacks(*burst)) == 3


@pytest.mark.parametrize(
    "following",
    [
        photo("IMG_0003.jpg", 1),  # a number is missing
        photo("IMG_0002.jpg", 1.5),
        photo("IMG_0002.jpg", -1),
        photo("IMG_0002.jpg", None),
        photo("IMG_0002.jpg", 1, camera="Nikon D70"),
        photo("IMG_0002.jpg", 1, camera=None),
        photo("IMG_0002.HEIC", 1),
        photo("DSC_0002.jpg", 1),
        photo("IMG_0002.jpg", 1, perceptual_hash=UNLIKE),
        photo("IMG_0002.jpg", 1, perceptual_hash=None),
    ],
)
def test_other_photos_are_no_burst(following: StackFile) -> None:
    assert stacks(photo("IMG_0001.jpg"), following) == {}


def test_a_burst_ends_where_the_picture_has_become_another() -> None:
    """Each photo looks like the one before, but the last not like the first."""
    looks = [2 ** (5 * number) - 1 for number in range(4)]
    burst = [photo(f"IMG_000{n}.jpg", n, perceptual_hash=look) for n, look in enumerate(looks)]
    assert list(stacks(*burst)) == ["IMG_0001.jpg", "IMG_0002.jpg"]


def test_a_damaged_picture_does_not_show() -> None:
    assert stacks(photo("IMG_0001.CR3"), photo("IMG_0001.jpg", is_damaged=True)) == {
        "IMG_0001.jpg": ("IMG_0001.CR3", SAME_SHOT)
    }


def test_copies_in_other_folders_join_the_stacks() -> None:
    """One folder has a JPEG, another its copy with the RAW file: the image that stands for both is in the stack."""
    links = [
        *find_links([photo("a.jpg", image_id=3)]),
        *find_links([photo("a.jpg", image_id=3), photo("a.cr3", image_id=7)]),
    ]
    ranks = {3: rank(photo("a.jpg", image_id=3)), 7: rank(photo("a.cr3", image_id=7))}
    assert assemble(links, ranks) == {7: Place(3, SAME_SHOT)}
