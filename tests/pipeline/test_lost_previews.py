"""Previews that somebody deleted or a disk lost: their images are read again, and nothing waits for them."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from catalog.coverage import remaining_work
from catalog.models import FileKind, Image, ImageState
from catalog.queries import committed_files, find_shard
from pipeline import model_input, registering
from pipeline.freshness import StaleSubject, find_stale_shards
from pipeline.lost_files import find_lost_files, read_lost_previews_again
from resources.file_store import StorageError
from resources.images import open_original, read_original
from tests.library import Library

FIRST = "photos-00000"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each original was read, by its name within its folder."""
    counter: Counter[str] = Counter()

    def counted(read: Callable[..., object]) -> Callable[..., object]:
        def count(path: str, *rest: object, **named: object) -> object:
            counter[Path(path).name] += 1
            return read(path, *rest, **named)

        return count

    monkeypatch.setattr(registering, "read_original", counted(read_original))
    monkeypatch.setattr(model_input, "open_original", counted(open_original))
    return counter


@pytest.fixture
def embedded(any_library: Library, reads: Counter[str]) -> Library:
    """Of 10 images in the first shard, in 3 files of previews."""
    any_library.scan()
    any_library.register_all()
    any_library.embed_all()
    reads.clear()
    return any_library


def preview_files(library: Library) -> list[Path]:
    with library.engine.connect() as connection:
        shard = find_shard(connection, FIRST)
        files = committed_files(connection, FileKind.PREVIEW, shard_id=shard.id)
    return [library.settings.home / file.path for file in files]


def lost(library: Library) -> dict[str, int]:
    with library.engine.connect() as connection:
        return dict(find_lost_files(connection, library.previews, library.embeddings, ["tiny-a"]))


def stale(library: Library) -> list[StaleSubject]:
    with library.engine.connect() as connection:
        return find_stale_shards(connection, lost(library))


def facts(library: Library) -> list[object]:
    columns = [
        column for column in Image.__table__.columns if column.name not in {"registered_at", "quality"}
    ]
    with library.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(Image.id))]


def test_the_images_of_a_lost_file_are_read_again_and_no_others(
    embedded: Library, reads: Counter[str]
) -> None:
    before, files = facts(embedded), preview_files(embedded)
    contents = embedded.previews.open([str(files[1])]).contents()
    files[1].unlink()
    assert list(lost(embedded)) == [FIRST]
    assert [subject.subject for subject in stale(embedded)] == [FIRST]

    report = embedded.register(FIRST)

    assert report.read == sum(reads.values()) == len(contents) > 0
    assert facts(embedded) == before
    assert lost(embedded) == {}
    assert stale(embedded) == []
    assert len(embedded.previews.open(map(str, preview_files(embedded))).contents()) == report.registered


def test_their_embeddings_hold(embedded: Library) -> None:
    preview_files(embedded)[0].unlink()
    embedded.register(FIRST)
    with embedded.engine.connect() as connection:
        assert remaining_work(connection, ["tiny-a"]).to_embed == {}
    assert embedded.embed(FIRST).embedded == 0


def test_a_run_that_dies_before_it_reads_leaves_the_shard_stale(embedded: Library) -> None:
    preview_files(embedded)[0].unlink()
    asked = read_lost_previews_again(embedded.engine, embedded.previews, FIRST)
    assert asked > 0
    assert read_lost_previews_again(embedded.engine, embedded.previews, FIRST) == 0
    assert stale(embedded) == [StaleSubject(FIRST, "2")]
    assert embedded.register(FIRST).read == asked


def damage(file: Path) -> None:
    """No preview in it can be decoded."""
    file.write_bytes(file.read_bytes().replace(b"\xff\xd8\xff", b"\x00\x00\x00"))


@pytest.mark.parametrize("spoil", [Path.unlink, damage])
def test_a_model_reads_the_originals_of_previews_that_are_lost_or_damaged(
    embedded: Library, reads: Counter[str], spoil: Callable[[Path], None]
) -> None:
    expected = vectors(embedded)
    spoil(preview_files(embedded)[0])
    shutil.rmtree(embedded.embeddings.directory("tiny-a", FIRST))
    report = embedded.embed(FIRST)
    assert report.embedded == report.total
    assert 0 < sum(reads.values()) < report.total
    found = vectors(embedded)
    assert found.keys() == expected.keys()
    assert all(np.dot(found[image_id], expected[image_id]) > 0.97 for image_id in expected)


def vectors(library: Library) -> dict[int, list[float]]:
    table = library.live().vectors()
    return dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))


def test_previews_that_are_all_gone_may_be_on_a_disk_that_is_not_mounted(embedded: Library) -> None:
    shutil.rmtree(embedded.settings.home / "previews")
    with pytest.raises(StorageError, match=r"no such folder, .* Mount its disk"):
        embedded.register(FIRST)
    with embedded.engine.connect() as connection:
        states = set(connection.execute(select(Image.state)).scalars())
    assert ImageState.DISCOVERED not in states
    (embedded.settings.home / "previews").mkdir()
    assert embedded.register(FIRST).read > 0
