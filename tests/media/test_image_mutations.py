"""Damaged copies of images of every format: an image or a reason, in bounded time and memory."""

import resource
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from photolineage.catalog.vocabulary import WrittenField
from photolineage.media import FailureReason, read_original
from photolineage.media.sidecars import read_sidecars
from photolineage.media.written import Written
from workloads.mutation_reading import BROKEN_SIDECAR, read_mutations
from workloads.mutations import mutations, read_all, valid_images, valid_sidecars

# Under pytest, which sets the filters of warnings anew for every test.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL.TiffImagePlugin", "ignore::UserWarning:PIL.JpegImagePlugin"
)
OUTCOMES = {reason.value for reason in FailureReason} | {"read", "truncated"}


def test_the_images_are_valid_before_they_are_damaged(tmp_path: Path) -> None:
    images = valid_images()
    assert dict(read_all(iter(images.items()), tmp_path)) == dict.fromkeys(images, "read")
    formats = {read_original(tmp_path / name).format for name in images}
    wanted = {"JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF"}
    assert formats == wanted | ({"JXL"} if find_spec("pillow_jxl") else set())
    with_xmp = {name for name in images if says(read_original(tmp_path / name).written, "river")}
    assert with_xmp >= {"baseline.jpg", "color.png", "lossy.webp", "phone.heic", "phone.avif"}


def test_the_sidecars_are_valid_before_they_are_damaged(tmp_path: Path) -> None:
    for name, data in valid_sidecars().items():
        (tmp_path / name).write_bytes(data)
        ((_, found),) = read_sidecars(str(tmp_path), [name])
        assert says(found, "Anna")
        assert not any(one.field is WrittenField.PROBLEM for one in found)


def says(written: Iterable[Written], value: str) -> bool:
    return any(one.value == value for one in written)


def test_the_same_seed_makes_the_same_damage() -> None:
    images = valid_images()
    first, second = list(mutations(images, 40, seed=3)), list(mutations(images, 40, seed=3))
    assert first == second
    assert first != list(mutations(images, 40, seed=4))
    assert sum(data != images[name] for name, data in first) >= 38


@pytest.mark.parametrize("seed", range(4))
def test_every_mutation_is_an_image_or_a_reason(tmp_path: Path, seed: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = dict.fromkeys(OUTCOMES, 0)
    for damaged in mutations(valid_images(), 150, seed=seed):
        ((name, outcome),) = read_all(iter([damaged]), tmp_path)
        assert name == damaged[0]
        counts[outcome] += 1
    assert sum(counts.values()) == 150
    assert counts["read"] >= 20
    assert counts["corrupt"] >= 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024 * 1024  # KiB


def test_readers_in_processes_of_their_own_count_every_mutation_once() -> None:
    report = read_mutations(100, seed=7, processes=2)
    assert report.decoded + report.refused.total() == report.count == 100
    assert (report.crashes, report.hangs, report.errors) == ([], [], [])
    assert 0 < report.truncated < report.decoded
    assert report.refused.keys() <= {BROKEN_SIDECAR} | {reason.value for reason in FailureReason}
    assert report.refused[BROKEN_SIDECAR]
