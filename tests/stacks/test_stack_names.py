"""What a file's name says about its shot."""

import unicodedata

import pytest

from photolineage.stacks.names import ShotName, Version, read_name

PIXEL = "pxl_20231207_032111247"


@pytest.mark.parametrize(
    ("name", "shot"),
    [
        ("IMG_E1234.JPG", "img_1234"),
        ("IMG_1234-edited.jpg", "img_1234"),
        ("IMG_1234-edited(1).jpg", "img_1234(1)"),
        ("IMG_1234(1)-edited.jpg", "img_1234(1)"),
        ("IMG_1234-EFFECTS-edited.jpg", "img_1234"),
        ("IMG_1234-bearbeitet.jpg", "img_1234"),
        ("IMG_1234-Bearbeitet-2.tif", "img_1234"),
        ("IMG_1234-Edit.tif", "img_1234"),
        ("DSC01234-Enhanced-NR.dng", "dsc01234"),
        ("IMG_1234-modifié.jpg", "img_1234"),
        (unicodedata.normalize("NFD", "IMG_1234-modifié.jpg"), "img_1234"),
        ("IMG_1234-ha editado.jpg", "img_1234"),
        ("IMG_1234-編集済み.jpg", "img_1234"),
        ("20230101_101112_edited.jpg", "20230101_101112"),
        ("IMG_20230101_101112~2.jpg", "img_20230101_101112"),
        ("PXL_20231207_032111247.MP~3.jpg", PIXEL),
    ],
)
def test_an_edited_copy_names_its_original(name: str, shot: str) -> None:
    read = read_name(name)
    assert (read.shot, read.version, read.counter) == (shot, Version.EDITED, None)


@pytest.mark.parametrize(
    "name",
    ["edited.jpg", "IMG_1234-HDR.jpg", "IMG_1234-Pano.dng", "credited.jpg", "IMG_1234-01.jpg", "IMG_E12.jpg"],
)
def test_other_names_are_no_edited_copies(name: str) -> None:
    assert read_name(name).version == Version.PLAIN


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("PXL_20231207_032111247.jpg", Version.PLAIN),
        ("PXL_20231207_032111247.dng", Version.PLAIN),
        ("PXL_20231207_032111247.MP.jpg", Version.PLAIN),
        ("PXL_20231207_032111247.RAW-01.COVER.jpg", Version.COVER),
        ("PXL_20231207_032111247.RAW-01.MP.COVER.jpg", Version.COVER),
        ("PXL_20231207_032111247.RAW-02.ORIGINAL.dng", Version.SOURCE),
        ("PXL_20231207_032111247.PORTRAIT-02.ORIGINAL.jpg", Version.SOURCE),
    ],
)
def test_the_names_of_pixel_phones_tell_the_shot_to_the_millisecond(name: str, version: Version) -> None:
    assert read_name(name) == ShotName(PIXEL, version, is_named_shot=True)


@pytest.mark.parametrize(
    ("name", "shot", "version"),
    [
        ("IMG_20230101_101112345_BURST000_COVER.jpg", "img_20230101_101112345", Version.COVER),
        ("IMG_20230101_101112345_BURST001.jpg", "img_20230101_101112345", Version.PLAIN),
        ("00100lrPORTRAIT_00100_BURST20200418222652648_COVER.jpg", "burst20200418222652648", Version.COVER),
        ("00000PORTRAIT_00000_BURST20200418222652648.jpg", "burst20200418222652648", Version.PLAIN),
    ],
)
def test_phones_name_their_bursts(name: str, shot: str, version: Version) -> None:
    assert read_name(name) == ShotName(shot, version, is_named_burst=True)


@pytest.mark.parametrize(
    ("name", "series", "counter"),
    [
        ("IMG_0042.JPG", "img_4", 42),
        ("DSC01234.ARW", "dsc5", 1234),
        ("20231207_101605_039.jpg", "20231207_101605_3", 39),
        ("party.jpg", "", None),
        ("IMG_0042(1).JPG", "", None),
    ],
)
def test_the_last_number_counts(name: str, series: str, counter: int | None) -> None:
    read = read_name(name)
    assert (read.series, read.counter) == (series, counter)
