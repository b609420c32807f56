"""Previews are found by image and content, in whichever committed file they are."""

import re
from pathlib import Path

import pytest

from photolineage.stores.files import LocalFiles
from photolineage.stores.previews import Preview, PreviewStore
from photolineage.stores.root_folder import StorageError


@pytest.fixture
def store(tmp_path: Path) -> PreviewStore:
    return PreviewStore(LocalFiles(tmp_path))


def test_a_preview_comes_back_byte_for_byte(store: PreviewStore, tmp_path: Path) -> None:
    path, size = store.write("shard", "1", [Preview(3, "c", b"\xff\xd8three"), Preview(2**40, "d", b"")])
    assert re.fullmatch(r"previews/shard/1-[0-9a-f]{12}\.arrow", path)
    assert size == (tmp_path / path).stat().st_size
    reader = store.open([path])
    assert reader.jpeg(3, "c") == b"\xff\xd8three"
    assert reader.jpeg(2**40, "d") == b""
    assert reader.jpeg(3, "d") is None
    assert list(reader.contents()) == [(3, "c"), (2**40, "d")]


def test_of_the_same_content_the_last_file_is_read(store: PreviewStore) -> None:
    paths = [store.write("shard", str(number), [Preview(1, "c", bytes([number]))])[0] for number in range(3)]
    assert store.open(paths).jpeg(1, "c") == b"\x02"
    assert store.open(paths[:2]).jpeg(1, "c") == b"\x01"


def test_each_content_of_an_image_has_its_own_preview(store: PreviewStore) -> None:
    paths = [store.write("shard", content, [Preview(1, content, content.encode())])[0] for content in "ab"]
    reader = store.open(paths)
    assert (reader.jpeg(1, "a"), reader.jpeg(1, "b")) == (b"a", b"b")


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_committed_file_that_cannot_be_read_names_its_partition(
    store: PreviewStore, tmp_path: Path, damage: str
) -> None:
    path, _ = store.write("photos-00007", "1", [Preview(1, "c", b"x")])
    if damage == "gone":
        (tmp_path / path).unlink()
    else:
        (tmp_path / path).write_bytes((tmp_path / path).read_bytes()[:40])
    with pytest.raises(
        StorageError, match=r"Materialize the partition photos-00007 of registered_images again"
    ):
        store.open([path])
