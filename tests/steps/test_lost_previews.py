"""Previews that somebody deleted or a disk lost: their images are read again, and nothing waits for them."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from photolineage.catalog.leases import LeaseHeldError
from photolineage.catalog.listing import library_status
from photolineage.catalog.orm import Image
from photolineage.catalog.queries import committed_files, find_shard
from photolineage.catalog.vocabulary import FileKind
from photolineage.lineage import JobKind
from photolineage.media import open_picture, read_original
from photolineage.steps import model_input
from photolineage.steps import register as registering
from photolineage.steps.freshness import LostFiles, StaleSubject, find_stale_embeddings, find_stale_shards
from photolineage.steps.jobs import running_job
from photolineage.steps.lost_files import find_lost_files
from photolineage.steps.progress import Progress
from photolineage.steps.tree_walk import SourceUnavailableError
from photolineage.stores.pictures import read_previews
from photolineage.stores.root_folder import StorageError
from tests.library import Library, draw_photo

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
    monkeypatch.setattr(model_input, "open_picture", counted(open_picture))
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


def path_of(library: Library, file: Path) -> str:
    return str(file.relative_to(library.settings.home))


def lost(library: Library) -> dict[str, int]:
    with library.engine.connect() as connection:
        return dict(find_lost_files(connection, library.files, library.indexes, ["tiny-a"]).previews)


def stale(library: Library) -> list[StaleSubject]:
    with library.engine.connect() as connection:
        return find_stale_shards(connection, LostFiles(previews=lost(library)))


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
    contents = embedded.previews.open([path_of(embedded, files[1])]).contents()
    files[1].unlink()
    assert list(lost(embedded)) == [FIRST]
    assert [subject.subject for subject in stale(embedded)] == [FIRST]

    report = embedded.register(FIRST)

    assert report.read == sum(reads.values()) == len(contents) > 0
    assert facts(embedded) == before
    assert lost(embedded) == {}
    assert stale(embedded) == []
    paths = [path_of(embedded, file) for file in preview_files(embedded)]
    assert len(embedded.previews.open(paths).contents()) == report.registered


def test_their_embeddings_hold(embedded: Library) -> None:
    preview_files(embedded)[0].unlink()
    embedded.register(FIRST)
    with embedded.engine.connect() as connection:
        (model,) = library_status(connection).models
    assert (model.key, model.shards_left) == ("tiny-a", 0)
    assert model.committed_embeddings == model.embeddable > 0
    assert embedded.embed(FIRST).embedded == 0


def die_at_the_seventh(progress: Progress) -> None:
    if progress.done - progress.resumed == 7:
        raise RuntimeError("killed")


def test_a_run_that_dies_leaves_the_shard_stale_and_the_next_reads_the_rest(
    embedded: Library, reads: Counter[str]
) -> None:
    for file in preview_files(embedded):
        file.unlink()
    with pytest.raises(RuntimeError, match="killed"):
        embedded.register(FIRST, on_progress=die_at_the_seventh)
    assert [subject.subject for subject in stale(embedded)] == [FIRST]
    assert "discovered" not in embedded.states().values()

    checkpoint = embedded.settings.checkpoint_images
    report = embedded.register(FIRST)
    assert (report.read, report.resumed) == (10 - checkpoint, checkpoint)
    assert lost(embedded) == {}


def test_meanwhile_its_images_stay_in_the_index_and_for_every_model(embedded: Library) -> None:
    """A model that embeds the shard while its previews are made again would never look at it once more."""
    before = embedded.revision(FIRST)
    preview_files(embedded)[0].unlink()
    expected, seen = embedded.live().rows.num_rows, set[int]()
    embedded.register(FIRST, on_progress=lambda _: seen.add(embedded.live().rows.num_rows))
    assert seen == {expected}
    assert embedded.revision(FIRST) == before


def test_an_image_with_other_content_by_now_is_embedded_anew(embedded: Library) -> None:
    """No scan has seen the change."""
    preview_files(embedded)[0].unlink()
    draw_photo(embedded.root / "2023/00.jpg", 77)
    embedded.register(FIRST)
    embedded.register_all()
    with embedded.engine.connect() as connection:
        assert [subject.subject for subject in find_stale_embeddings(connection, ["tiny-a"])] == [
            f"tiny-a|{FIRST}"
        ]
    assert embedded.embed(FIRST).embedded == 1


def test_a_run_beside_the_one_that_has_the_lease_changes_nothing(embedded: Library) -> None:
    preview_files(embedded)[0].unlink()
    before = facts(embedded)
    with (
        running_job(embedded.context("the-first"), JobKind.REGISTER, FIRST, input_version="1"),
        pytest.raises(LeaseHeldError, match="run the-first"),
    ):
        embedded.register(FIRST)
    assert facts(embedded) == before
    assert embedded.revision(FIRST) == 1


def damage(file: Path) -> None:
    """No preview in it can be decoded."""
    file.write_bytes(file.read_bytes().replace(b"\xff\xd8\xff", b"\x00\x00\x00"))


@pytest.mark.parametrize("spoil", [Path.unlink, damage])
def test_a_model_reads_the_originals_of_previews_that_are_lost_or_damaged(
    embedded: Library, reads: Counter[str], spoil: Callable[[Path], None]
) -> None:
    expected = vectors(embedded)
    spoil(preview_files(embedded)[0])
    shutil.rmtree(embedded.settings.home / embedded.embeddings.folder("tiny-a", FIRST))
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
    with pytest.raises(StorageError, match=r"this folder is missing, .* Mount its disk"):
        embedded.register(FIRST)
    assert "discovered" not in embedded.states().values()
    (embedded.settings.home / "previews").mkdir()
    assert embedded.register(FIRST).read > 0


def test_a_copy_stands_for_itself_where_the_first_has_other_content_by_now(any_library: Library) -> None:
    """No scan has seen the change: that the preview is lost is why the first is read again."""
    first, copy = any_library.root / "2023/00.jpg", any_library.root / "2023/01.jpg"
    shutil.copyfile(first, copy)
    any_library.scan()
    any_library.register_all()
    assert any_library.images()["2023/01.jpg"].duplicate_of_id == any_library.images()["2023/00.jpg"].id
    for file in preview_files(any_library):
        file.unlink()
    draw_photo(first, 77)

    any_library.register(FIRST)

    images = any_library.images()
    assert images["2023/00.jpg"].content_hash != images["2023/01.jpg"].content_hash
    assert images["2023/01.jpg"].duplicate_of_id is None


def test_nothing_is_forgotten_while_the_originals_are_away(embedded: Library) -> None:
    preview_files(embedded)[0].unlink()
    before = embedded.states()
    embedded.root.rename(embedded.root.with_name("unplugged"))
    with pytest.raises(SourceUnavailableError):
        embedded.register(FIRST)
    assert embedded.states() == before
    embedded.root.with_name("unplugged").rename(embedded.root)
    assert embedded.register(FIRST).read > 0


def spoil_the_footer(file: Path) -> None:
    """Of the same length; it does not open any more."""
    content = file.read_bytes()
    file.write_bytes(content[:-200] + bytes(200))


def test_a_preview_file_that_does_not_open_stops_nothing_and_is_made_again(
    embedded: Library, reads: Counter[str]
) -> None:
    file = preview_files(embedded)[0]
    ids = [image_id for image_id, _ in embedded.previews.open([path_of(embedded, file)]).contents()]
    spoil_the_footer(file)
    assert read_previews(embedded.engine, embedded.previews, ids) == {}
    shutil.rmtree(embedded.settings.home / embedded.embeddings.folder("tiny-a", FIRST))
    assert embedded.embed(FIRST).embedded == 10
    assert sum(reads.values()) == len(ids)

    assert embedded.register(FIRST).read == len(ids)
    assert set(read_previews(embedded.engine, embedded.previews, ids)) == set(ids)


def test_a_preview_that_cannot_be_decoded_is_in_no_picture(embedded: Library) -> None:
    file = preview_files(embedded)[0]
    ids = [image_id for image_id, _ in embedded.previews.open([path_of(embedded, file)]).contents()]
    damage(file)
    assert read_previews(embedded.engine, embedded.previews, ids) == {}
