"""Damaged copies of images of every format: an image or a reason, in bounded time and memory."""

import resource
from pathlib import Path

import pytest

from photolineage.media import FailureReason, read_original
from workloads.mutation_reading import read_mutations
from workloads.mutations import mutations, read_all, valid_images

# Under pytest, which sets the filters of warnings anew for every test.
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL.TiffImagePlugin", "ignore::UserWarning:PIL.JpegImagePlugin"
)
OUTCOMES = {reason.value for reason in FailureReason} | {"read", "truncated"}


def test_the_images_are_valid_before_they_are_damaged(tmp_path: Path) -> None:
    images = valid_images()
    assert dict(read_all(iter(images.items()), tmp_path)) == dict.fromkeys(images, "read")
    formats = {read_original(tmp_path / name).format for name in images}
    assert formats == {"JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF"}


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
    assert report.refused.keys() <= {reason.value for reason in FailureReason}
