"""Files that take gigabytes or minutes to decode get a reason, within the limits, and the run goes on."""

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from photolineage.catalog.vocabulary import FailureReason
from photolineage.media import UnreadableImageError, limit_decoding, read_original
from photolineage.media.decoding import DEFAULT_SECONDS
from photolineage.search.query import QueryError, _open_image
from tests.library import Library, draw_photo
from workloads import REPOSITORY_ROOT
from workloads.bomb_reading import read_in_a_process
from workloads.decompression_bombs import avif_grid, heic_grid, jpeg_of_scans, png_of_zeros, webp_of_one_color

PROCESS_BYTES = 10**8
"""Of a decoder that has decoded nothing."""


@pytest.fixture(autouse=True)
def _limits() -> Iterator[None]:
    yield
    limit_decoding(memory_bytes=None, seconds=DEFAULT_SECONDS)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def outcomes(report: Any) -> list[tuple[str, str]]:
    return [(outcome["file"], outcome["outcome"]) for outcome in report["outcomes"]]


def failure(path: Path) -> UnreadableImageError:
    with pytest.raises(UnreadableImageError) as caught:
        read_original(path)
    return caught.value


def test_images_that_are_decoded_at_once_share_one_budget(tmp_path: Path) -> None:
    """Each takes 0.6 GB; without the budget, the four take 2.3 GB at once."""
    webp = written(tmp_path / "bomb.webp", webp_of_one_color(6_000, 6_000))
    files = [webp, written(tmp_path / "rows.png", png_of_zeros(1, 20_000_000)), webp, webp, webp]
    report = read_in_a_process(files, memory_gb=0.7, seconds=60, threads=5)
    assert outcomes(report) == [(file.name, "decoded") for file in files]
    assert 0.4e9 < report["peak_bytes"] < 0.7e9 + 5 * PROCESS_BYTES


def test_an_image_above_the_budget_is_decoded_alone(tmp_path: Path) -> None:
    files = [written(tmp_path / "bomb.webp", webp_of_one_color(5_000, 5_000))] * 3
    report = read_in_a_process(files, memory_gb=0.3, seconds=60, threads=3)
    assert outcomes(report) == [("bomb.webp", "decoded")] * 3
    assert report["peak_bytes"] < 2 * 0.3e9 + 3 * PROCESS_BYTES


def test_an_image_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    files = [
        written(tmp_path / "grid.avif", avif_grid(500, 32, 32)),
        written(tmp_path / "one.webp", webp_of_one_color(13_000, 13_000)),
        written(tmp_path / "rows.png", png_of_zeros(1, 200_000_000)),
        draw_photo(tmp_path / "photo.jpg", 1),
    ]
    report = read_in_a_process(files, memory_gb=0.5, seconds=60, threads=4)
    assert outcomes(report) == [
        *((file.name, "too_large") for file in files[:-1]),
        ("photo.jpg", "decoded"),
    ]
    assert [outcome["detail"] for outcome in report["outcomes"][:-1]] == [
        f"needs {need} GB to decode, more than the limit of 1.0 GB, which is 2 × decoding.memory_gb"
        for need in ("3.1", "2.9", "5.0")
    ]
    assert report["peak_bytes"] < 4 * PROCESS_BYTES


def test_a_header_that_hides_the_size_gets_no_more_memory(tmp_path: Path) -> None:
    """5,000 comments stand before the frame of 16,000 × 16,000 pixels, which take 1.5 GB as coefficients."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "JPEG", progressive=True, subsampling=0)
    data = buffer.getvalue()
    frame = data.index(b"\xff\xc2") + 5
    data = data[:frame] + struct.pack(">HH", 16_000, 16_000) + data[frame + 4 :]
    hidden = written(tmp_path / "hidden.jpg", data[:2] + b"\xff\xfe\x00\x02" * 5_000 + data[2:])
    report = read_in_a_process([hidden], memory_gb=2, seconds=60, threads=1)
    assert report["outcomes"][0]["outcome"] in {"too_large", "corrupt"}
    assert report["peak_bytes"] < 0.5e9


def test_an_image_that_takes_too_long_is_a_row_with_its_reason(library: Library) -> None:
    written(library.root / "2024" / "scans.jpg", jpeg_of_scans(8_000, 6_000, 1_000))
    library.scan()
    limit_decoding(memory_bytes=None, seconds=1)
    started = time.monotonic()
    reports = library.register_all()
    assert time.monotonic() - started < 20
    assert sum((report.failures for report in reports.values()), Counter()) == {"corrupt": 1, "too_large": 1}
    row = library.images()["2024/scans.jpg"]
    assert (row.failure_reason, row.failure_detail) == (
        FailureReason.TOO_LARGE,
        "took longer than 1 s to decode, which is the limit (decoding.seconds)",
    )


def test_panoramas_and_photos_of_200_megapixels_come_through(tmp_path: Path) -> None:
    panorama = io.BytesIO()
    Image.linear_gradient("L").resize((30_000, 5_000)).save(panorama, "JPEG", progressive=True)
    original = read_original(written(tmp_path / "panorama.jpg", panorama.getvalue()))
    assert (original.width, original.height) == (30_000, 5_000)
    original = read_original(written(tmp_path / "phone.heic", heic_grid(1_020, 16, 12)))
    assert (original.format, original.width, original.height) == ("HEIF", 16_320, 12_240)


def decoders() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if any("decoding_worker" in word for word in child.cmdline())]


def read_and_signal(path: Path, number: signal.Signals, times: int) -> UnreadableImageError | None:
    """What became of the image, if each process that is seen decoding it gets a signal."""
    outcome: list[UnreadableImageError] = []

    def read() -> None:
        try:
            read_original(path)
        except UnreadableImageError as error:
            outcome.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    signalled: set[int] = set()
    deadline = time.monotonic() + 30
    while thread.is_alive() and len(signalled) < times and time.monotonic() < deadline:
        for decoder in decoders():
            if decoder.pid not in signalled and decoder.cpu_times().user > 0.6:
                decoder.send_signal(number)
                signalled.add(decoder.pid)
        time.sleep(0.02)
    thread.join(60)
    assert len(signalled) == times
    return outcome[0] if outcome else None


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Path]:
    """An image that takes a few seconds; no decoder is idle before or after it."""
    from photolineage.media import decoding

    decoding._end_idle_processes()
    yield written(tmp_path / "slow.jpg", jpeg_of_scans(4_000, 3_000, 250))
    decoding._end_idle_processes()


def test_a_decoder_that_crashes_costs_its_image_only(slow: Path, tmp_path: Path) -> None:
    error = read_and_signal(slow, signal.SIGSEGV, 1)
    assert error is not None
    assert str(error) == "corrupt: the image crashed its decoder (SIGSEGV)"
    assert read_original(draw_photo(tmp_path / "next.jpg", 1)).format == "JPEG"


def test_an_image_whose_decoder_is_killed_once_is_read_again(slow: Path) -> None:
    """As the kernel kills it when another program takes the memory."""
    assert read_and_signal(slow, signal.SIGKILL, 1) is None


def test_an_image_whose_decoder_is_killed_twice_gets_the_reason(slow: Path) -> None:
    error = read_and_signal(slow, signal.SIGKILL, 2)
    assert error is not None
    assert error.reason is FailureReason.TOO_LARGE
    assert "ended its decoding twice (SIGKILL), probably because memory was short" in error.detail


def test_ctrl_c_leaves_the_decision_to_the_parent(slow: Path) -> None:
    assert read_and_signal(slow, signal.SIGINT, 1) is None


def test_decoders_end_with_the_process_that_started_them(slow: Path) -> None:
    """Also the one that decodes when its parent is killed."""
    script = (
        "import sys\nfrom photolineage.media import limit_decoding, read_original\n"
        "limit_decoding(memory_bytes=None, seconds=1)\nread_original(sys.argv[1])"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(slow)], cwd=REPOSITORY_ROOT) as parent:
        deadline = time.monotonic() + 20
        children: list[psutil.Process] = []
        while not children and time.monotonic() < deadline:
            children = psutil.Process(parent.pid).children()
        time.sleep(0.7)
        parent.kill()
    assert children
    _gone, alive = psutil.wait_procs(children, timeout=12)
    assert not alive


def test_decoders_get_no_secrets(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOLINEAGE_CATALOG__URL", "postgresql://user:secret@host/db")
    read_original(draw_photo(slow.parent / "photo.jpg", 1))
    (decoder,) = decoders()
    assert "secret" not in " ".join(decoder.environ().values())


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "folder", "socket", "gone.jpg", "nul\0.jpg"])
def test_searching_with_what_is_no_image_file_names_the_reason(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(QueryError, match="cannot open image file"):
            _open_image(tmp_path / name)


def test_a_picture_to_search_with_is_scaled(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((6_000, 4_000)).save(tmp_path / "large.jpg")
    assert min(_open_image(tmp_path / "large.jpg").size) <= 1_024


@pytest.mark.timeout(60)
def test_what_is_no_file_in_a_source_is_passed_over(library: Library) -> None:
    os.mkfifo(library.root / "2024" / "pipe.jpg")
    report = library.scan()
    assert "2024/pipe.jpg" not in library.images()
    assert report.files == len(library.images())
    swapped = library.root / "2024" / "07.jpg"
    swapped.unlink()
    os.mkfifo(swapped)  # between the scan and the registration
    library.register_all()
    row = library.images()["2024/07.jpg"]
    assert (row.failure_reason, row.failure_detail) == (FailureReason.UNSUPPORTED, "not a regular file")
