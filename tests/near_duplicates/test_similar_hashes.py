"""Similar hashes are found as if each were compared with each."""

import numpy as np
import pytest
from PIL import Image

from photolineage.media.perceptual_hash import differing_bits, perceptual_hash
from photolineage.near_duplicates import pairs
from photolineage.near_duplicates.pairs import MOST_BITS, similar_hashes


def hashes_around(rng: np.random.Generator, count: int) -> list[int]:
    """Random hashes, each with four others that differ in one to six bits."""
    found = set()
    for value in rng.integers(-(2**63), 2**63, count, np.int64).tolist():
        found.add(value)
        for _ in range(4):
            bits = rng.choice(64, rng.integers(1, 7), replace=False).tolist()
            flipped = (value ^ sum(2**bit for bit in bits)) & (2**64 - 1)
            found.add(flipped - 2**64 if flipped >= 2**63 else flipped)
    return sorted(found)


def test_the_bands_miss_no_pair() -> None:
    values = hashes_around(np.random.default_rng(1), 60)
    expected = {
        row: others
        for row, one in enumerate(values)
        if (
            others := {
                at for at, other in enumerate(values) if at != row and differing_bits(one, other) <= MOST_BITS
            }
        )
    }
    assert len(expected) > 100
    assert similar_hashes(np.array(values, np.int64)) == expected


def test_a_large_band_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(64, dtype=np.int64)  # 6 bits: nearly all are similar
    whole = similar_hashes(values)
    monkeypatch.setattr(pairs, "_ROWS_AT_ONCE", 7)
    assert similar_hashes(values) == whole


def test_no_and_single_hashes_have_no_similar_ones() -> None:
    assert similar_hashes(np.array([], np.int64)) == {}
    assert similar_hashes(np.array([-1], np.int64)) == {}
    assert similar_hashes(np.array([0, -1], np.int64)) == {}


def test_a_hash_hardly_changes_with_size_and_compression() -> None:
    rng = np.random.default_rng(4)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((512, 384)) for _ in range(12)
    ]
    hashes = [perceptual_hash(picture) for picture in pictures]
    for picture, value in zip(pictures, hashes, strict=True):
        assert -(2**63) <= value < 2**63
        assert differing_bits(value, perceptual_hash(picture.resize((200, 150)))) <= MOST_BITS
        assert (
            differing_bits(value, perceptual_hash(picture.point(lambda level: level * 3 // 4))) <= MOST_BITS
        )
    apart = [differing_bits(one, other) for row, one in enumerate(hashes) for other in hashes[:row]]
    assert min(apart) > 3 * MOST_BITS
