"""Which sidecar belongs to which image: the names that programs, and Google Takeout above all, give to them."""

import pytest

from photolineage.steps.sidecar_names import MOST_SIDECARS, live_photos, sidecars_of

LONG = "PXL_20230330_184138390.MOTION-01.COVER_abcdefghij.jpg"  # of 53 letters


@pytest.mark.parametrize(
    ("images", "sidecar", "owners"),
    [
        (["IMG.jpg"], "IMG.jpg.xmp", ["IMG.jpg"]),
        (["IMG.jpg"], "IMG.xmp", ["IMG.jpg"]),
        (["IMG.CR2", "IMG.jpg", "IMG2.jpg"], "IMG.xmp", ["IMG.CR2", "IMG.jpg"]),
        (["IMG.CR2", "IMG.jpg"], "IMG.CR2.xmp", ["IMG.CR2"]),
        (["IMG.JPG"], "img.jpg.XMP", ["IMG.JPG"]),
        (["IMG.JPG", "IMG.jpg"], "IMG.jpg.xmp", ["IMG.jpg"]),
        (["IMG.jpg.png", "IMG.jpg"], "IMG.jpg.xmp", ["IMG.jpg"]),
        (["IMG.jpg"], "IMG_1.xmp", []),
        (["\udcff.jpg"], "\udcff.xmp", ["\udcff.jpg"]),
        # Google Takeout
        (["IMG_1234.jpg"], "IMG_1234.jpg.json", ["IMG_1234.jpg"]),
        (["IMG_1234.jpg"], "IMG_1234.json", ["IMG_1234.jpg"]),
        (["IMG_1234.jpg"], "IMG_1234.jpg.supplemental-metadata.json", ["IMG_1234.jpg"]),
        (["IMG_1234.jpg"], "IMG_1234.jpg.supplemental-meta.json", ["IMG_1234.jpg"]),
        (["IMG_1234.jpg"], "IMG_1234.jpg..json", ["IMG_1234.jpg"]),
        (["IMG_1234.jpg"], "IMG_1234.jpg.other.json", []),
        (["IMG_1234.jpg"], "IMG_123.json", []),
        (["IMG_1234.jpg"], "metadata.json", []),
        (["IMG_1234.jpg", "IMG_1234(1).jpg"], "IMG_1234.jpg(1).json", ["IMG_1234(1).jpg"]),
        (["IMG_1234.jpg", "IMG_1234(1).jpg"], "IMG_1234.jpg.json", ["IMG_1234.jpg"]),
        (["IMG_1234.jpg", "IMG_1234(1).jpg"], "IMG_1234.jpg.supplemental-metadata(1).json", ["IMG_1234(1).jpg"]),
        (["IMG_1234.jpg", "IMG_1234(1).jpg"], "IMG_1234(1).jpg.json", ["IMG_1234(1).jpg"]),
        (["IMG_1234.jpg", "IMG_1234(1).jpg"], "IMG_1234.jpg(2).json", []),
        (["IMG_1234.jpg", "IMG_1234-edited.jpg"], "IMG_1234.jpg.json", ["IMG_1234.jpg", "IMG_1234-edited.jpg"]),
        (["IMG_1234-bearbeitet.jpg"], "IMG_1234.jpg.json", ["IMG_1234-bearbeitet.jpg"]),
        (["IMG_1234-edited(1).jpg"], "IMG_1234.jpg(1).json", ["IMG_1234-edited(1).jpg"]),
        (["IMG_1234(1)-edited.jpg", "IMG_1234(1).jpg"], "IMG_1234.jpg(1).json",
         ["IMG_1234(1)-edited.jpg", "IMG_1234(1).jpg"]),
        *(([LONG], f"{f'{LONG}.supplemental-metadata'[:length]}.json", [LONG]) for length in (45, 46, 53, 60)),
        ([LONG], f"{LONG[:40]}.json", []),
        ([LONG, LONG.replace("j.jpg", "k.jpg")], f"{LONG[:46]}.json", []),
        (["original_1d4caa6f-16c6-4c3d-901b-9387de10e528_P.jpg"], "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_.json",
         ["original_1d4caa6f-16c6-4c3d-901b-9387de10e528_P.jpg"]),
        (["Backyard_ceremony_wedding_photography_xxxxxxx_m(494).jpg"],
         "Backyard_ceremony_wedding_photography_xxxxxxx_(494).json",
         ["Backyard_ceremony_wedding_photography_xxxxxxx_m(494).jpg"]),
        (["05yqt21kruxwwlhhgrwrdyb6chhwszi9bqmzu16w0 2.jpg"], "05yqt21kruxwwlhhgrwrdyb6chhwszi9bqmzu16w0 2.jp.json",
         ["05yqt21kruxwwlhhgrwrdyb6chhwszi9bqmzu16w0 2.jpg"]),
        (["😀😃😄😁😆😅😂🤣🥲☺️😊😇🙂🙃😉😌😍🥰😘😗😙😚😋😛.jpg"],
         "😀😃😄😁😆😅😂🤣🥲☺️😊😇🙂🙃😉😌😍🥰😘😗😙😚😋.json",
         ["😀😃😄😁😆😅😂🤣🥲☺️😊😇🙂🙃😉😌😍🥰😘😗😙😚😋😛.jpg"]),
    ],
)  # fmt: skip
def test_whose_sidecar_it_is(images: list[str], sidecar: str, owners: list[str]) -> None:
    found = sidecars_of(images, [sidecar])
    assert {image: list(names) for image, names in found.items()} == {image: [sidecar] for image in owners}


def test_the_most_trustworthy_comes_first() -> None:
    beside = ["IMG.jpg.json", "IMG.xmp", "IMG.jpg.xmp"]
    assert sidecars_of(["IMG.jpg"], beside)["IMG.jpg"] == ["IMG.jpg.xmp", "IMG.xmp", "IMG.jpg.json"]


def test_an_image_has_a_limited_number_of_sidecars() -> None:
    beside = [f"IMG.jpg.{'supplemental-metadata'[:length]}.json" for length in range(21)]
    assert len(sidecars_of(["IMG.jpg"], beside)["IMG.jpg"]) == MOST_SIDECARS


def test_movies_of_live_photos() -> None:
    images = ["IMG_1.HEIC", "IMG_2.JPG", "IMG_3.png"]
    assert live_photos(images, ["IMG_1.MOV", "img_2.mov", "IMG_3.mov", "IMG_4.mov"]) == {
        "IMG_1.MOV",
        "img_2.mov",
    }
