"""The times in the names that cameras, telephones and programs give to photos."""

# ruff: noqa: DTZ001 - a camera's clock knows of no zone

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photolineage.catalog.vocabulary import TakenAtPrecision
from photolineage.media.file_names import time_in_file_name
from photolineage.media.written_time import WrittenTime


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG_20230714_183012.jpg", "2023-07-14T18:30:12"),
        ("IMG_20230714_183012_1.jpg", "2023-07-14T18:30:12"),
        ("IMG_20230714_183012~2.jpg", "2023-07-14T18:30:12"),
        ("IMG_20230714_183012_HDR.jpg", "2023-07-14T18:30:12"),
        ("VID_20230714_183012.mp4", "2023-07-14T18:30:12"),
        ("20230714_183012.jpg", "2023-07-14T18:30:12"),
        ("20230714183012.jpg", "2023-07-14T18:30:12"),
        ("DSCPDC_0003_BURST20230714183012345.JPG", "2023-07-14T18:30:12.345000"),
        ("PXL_20230714_163012123.jpg", "2023-07-14T16:30:12.123000+00:00"),
        ("PXL_20230714_163012123.PORTRAIT.jpg", "2023-07-14T16:30:12.123000+00:00"),
        ("2023-07-14 18.30.12.jpg", "2023-07-14T18:30:12"),
        ("2023-07-14 18.30.12-2.jpg", "2023-07-14T18:30:12"),
        ("Screenshot_2023-07-14-18-30-12.png", "2023-07-14T18:30:12"),
        ("Screenshot_2023-07-14-18-30-12-123_com.app.png", "2023-07-14T18:30:12.123000"),
        ("Screenshot_20230714-183012.png", "2023-07-14T18:30:12"),
        ("Screen Shot 2023-07-14 at 18.30.12.png", "2023-07-14T18:30:12"),
        ("Screenshot 2023-07-14 at 6.30.12 PM.png", "2023-07-14T18:30:12"),
        ("Screenshot 2023-07-14 at 12.30.12\u202fAM.png", "2023-07-14T00:30:12"),
        ("WhatsApp Image 2023-07-14 at 18.30.12.jpeg", "2023-07-14T18:30:12"),
        ("signal-2023-07-14-183012.jpg", "2023-07-14T18:30:12"),
        ("signal-2023-07-14-18-30-12-345.jpg", "2023-07-14T18:30:12.345000"),
        ("photo_2023-07-14_18-30-12.jpg", "2023-07-14T18:30:12"),
        ("IMG-20230714-WA0001.jpg", "2023-07-14T12:00:00"),
        ("1923-05-04 grandmother.jpg", "1923-05-04T12:00:00"),
        ("Bildschirmfoto 2021-03-04 um 10.11.12.png", "2021-03-04T10:11:12"),
        ("Capture d’écran 2021-03-04 à 10.11.12.png", "2021-03-04T10:11:12"),
        ("Capture d’écran 2021-03-04 a\u0300 10.11.12.png", "2021-03-04T10:11:12"),
        ("Captura de pantalla 2021-03-04 a las 10.11.12.png", "2021-03-04T10:11:12"),
        ("Captura de pantalla 2021-03-04 a las 3.11.12 p. m..png", "2021-03-04T15:11:12"),
        ("Schermata 2021-03-04 alle 10.11.12.png", "2021-03-04T10:11:12"),
        ("Schermafbeelding 2021-03-04 om 10.11.12.png", "2021-03-04T10:11:12"),
        ("Captura de Tela 2021-03-04 às 10.11.12.png", "2021-03-04T10:11:12"),
        ("Skärmavbild 2021-03-04 kl. 10.11.12.png", "2021-03-04T10:11:12"),
        ("Снимок экрана 2021-03-04 в 10.11.12.png", "2021-03-04T10:11:12"),
        ("截屏2021-03-04 下午10.11.12.png", "2021-03-04T22:11:12"),
        ("截屏2021-03-04 上午12.11.12.png", "2021-03-04T00:11:12"),
        ("スクリーンショット 2021-03-04 22.11.12.png", "2021-03-04T22:11:12"),
        ("스크린샷 2021-03-04 오후 3.11.12.png", "2021-03-04T15:11:12"),
        ("photo_1@04-03-2021_10-11-12.jpg", "2021-03-04T10:11:12"),
        ("20210304T101112Z.jpg", "2021-03-04T10:11:12+00:00"),
        ("20210304T101112+0530.jpg", "2021-03-04T10:11:12+05:30"),
        ("2021-03-04T10_11_12Z.png", "2021-03-04T10:11:12+00:00"),
        ("2021-03-04_10.11.12Z.jpg", "2021-03-04T10:11:12+00:00"),
        ("20210304T101112.jpg", "2021-03-04T10:11:12"),
        ("IMG_2021-03-04-10111234.jpg", "2021-03-04T10:11:12.340000"),
        ("20210304_101112-0500.jpg", "2021-03-04T10:11:12"),
        ("FB_IMG_1500000000000.jpg", "2017-07-14T02:40:00+00:00"),
        ("mmexport1500000000123.jpg", "2017-07-14T02:40:00.123000+00:00"),
    ],
)
def test_time_in_a_file_name(name: str, expected: str) -> None:
    written = time_in_file_name(name)
    assert written is not None
    assert written.time.isoformat() == expected
    assert written.precision == (
        TakenAtPrecision.DAY if expected.endswith("12:00:00") else TakenAtPrecision.SECOND
    )


@pytest.mark.parametrize(
    "name",
    [
        "DSC01234.JPG",
        "DSC_0001.JPG",
        "IMG_1234.HEIC",
        "P1010001.JPG",
        "20231399_250000.jpg",
        "2023-02-30.jpg",
        "received_10154321098765432.jpeg",
        "123456789012.jpg",
        "IMG_99999999_999999.jpg",
        "\udcff\udcfe.jpg",
        "",
    ],
)
def test_no_time_in_a_file_name(name: str) -> None:
    assert time_in_file_name(name) is None


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2099, 12, 31)))
def test_every_time_survives_its_file_name(time: datetime) -> None:
    time = time.replace(microsecond=0)
    for name in (
        f"IMG_{time:%Y%m%d_%H%M%S}",
        f"{time:%Y-%m-%d %H.%M.%S}",
        f"Ekran {time:%Y-%m-%d pri %H.%M.%S}",
    ):
        assert time_in_file_name(f"{name}.png") == WrittenTime(time)
