"""Paths in a changed catalog, and links that somebody planted, lead no run and no report to other people's files."""

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.migration_plan import back_up
from photolineage.catalog.queries import serving_model_key
from photolineage.errors import PhotolineageError
from photolineage.steps.cluster import cluster_model
from photolineage.steps.index import maintain_index
from photolineage.steps.sweep import sweep_files
from photolineage.stores.event_segments import SegmentStore
from photolineage.upgrade.retire import ModelStores, retire_model
from tests.album.albums import write
from tests.catalog.test_old_revisions import bring_to
from tests.command_line import photolineage
from tests.library import draw_photo, touch
from tests.lineage import Lineage
from tests.orchestration.test_maintenance_jobs import run as run_job

OLD = time.time() - 3 * 86_400

Content = dict[str, tuple[int, bytes]]


@pytest.fixture
def victim(lineage: Lineage) -> Path:
    """A folder beside home, whose files have the names and the age of what a sweep removes."""
    folder = lineage.home.parent / "victim"
    for name in ("old.arrow", "precious.txt", "data/old.lance", "photos-00000/1.arrow", "tiny-a.parquet"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
        os.utime(path, (OLD, OLD))
    return folder


def content(folder: Path) -> Content:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def everything(lineage: Lineage) -> list[str]:
    """Do everything that writes and removes files, and return the messages of the errors that a person would read."""
    library = lineage.library
    stores = ModelStores(library.files, library.indexes)
    steps: list[Callable[[], object]] = [
        lambda: read_serving_model(lineage),
        library.scan,
        library.register_all,
        lambda: library.embed_all("tiny-a"),
        lambda: library.index("tiny-a"),
        lambda: maintain_index(library.context(), library.indexes, "tiny-a"),
        lambda: cluster_model(
            library.context(), library.embeddings, SegmentStore(library.files), "tiny-a",
            library.embedder()[0].encode_text, library.settings.events,
        ),
        lambda: sweep_files(library.engine, library.files, remove=True),
        lambda: write(lineage, lineage.home.parent / "album"),
        lambda: retire_model(library.context(), stores, "tiny-b", configured=()),
    ]  # fmt: skip
    messages = []
    for step in steps:
        try:
            step()
        except (PhotolineageError, IntegrityError) as error:
            messages.append(str(error))
    return messages


def read_serving_model(lineage: Lineage) -> str | None:
    with lineage.library.engine.connect() as connection:
        return serving_model_key(connection)


def add_work(lineage: Lineage) -> None:
    """New and changed photos, so that each step has something to write."""
    draw_photo(lineage.library.root / "2024/new.jpg", 900, taken_at=datetime(2024, 6, 1, 12, 55, tzinfo=UTC))
    changed = draw_photo(lineage.library.root / "2023/00.jpg", 901)
    touch(changed)


CRAFTED = {
    "a shard key that climbs": "UPDATE shard SET key = '../../victim' WHERE id = 1",
    "an absolute shard key": "UPDATE shard SET key = '{victim}' WHERE id = 1",
    "a hash that climbs": "UPDATE image SET content_hash = '../../../victim/precious' WHERE id = 2",
    "an absolute hash": "UPDATE image SET content_hash = '{victim}/precious' WHERE id = 2",
    "a file that climbs": "UPDATE shard_file SET path = '../victim/old.arrow' WHERE id = 1",
    "an absolute file": "UPDATE shard_file SET path = '{victim}/old.arrow' WHERE id = 1",
    "a model key that climbs": "UPDATE ml_model SET key = '../../victim' WHERE serving",
    "a digest that climbs": "UPDATE ml_model SET weights_digest = '/../../victim'",
    "a source key that climbs": "UPDATE source SET key = '../../victim'",
    "a photo that climbs": "UPDATE image SET path = CAST('../victim/precious.txt' AS BLOB) WHERE id = 2",
}


@pytest.mark.parametrize("statement", CRAFTED.values(), ids=CRAFTED.keys())
def test_a_changed_catalog_leads_nothing_out_of_home(lineage: Lineage, victim: Path, statement: str) -> None:
    lineage.execute(statement.format(victim=victim))
    add_work(lineage)
    before = content(victim)
    beside = set(os.listdir(victim.parent))

    messages = everything(lineage)

    assert content(victim) == before
    assert set(os.listdir(victim.parent)) - beside <= {"album"}
    assert [message for message in messages if message.startswith("the catalog is damaged: ")]


LINKS = [
    "previews",
    "previews/photos-00000",
    "embeddings",
    "embeddings/tiny-a",
    "embeddings/tiny-a/photos-00000",
    "embeddings/tiny-b",
    "index",
    "index/tiny-a.lance",
    "index/tiny-a.lance/data",
    "index/tiny-a.lance/_versions",
    "index/tiny-a.lock",
    "events",
    "text_encoders",
]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("moved", [False, True], ids=["to a folder of somebody else", "to what was there"])
def test_a_planted_link_leads_nothing_out_of_home(
    lineage: Lineage, victim: Path, link: str, moved: bool
) -> None:
    planted = lineage.home / link
    if moved:  # a folder that a person has moved to another disk
        if not planted.exists():
            pytest.skip("this library has no such folder")
        shutil.rmtree(victim)
        planted.rename(victim)
    elif planted.is_dir():
        shutil.rmtree(planted)
    else:
        planted.unlink(missing_ok=True)
    planted.symlink_to(victim / "precious.txt" if link.endswith(".lock") else victim)
    add_work(lineage)
    before = content(victim) if victim.is_dir() else victim.read_bytes()

    messages = everything(lineage)

    assert (content(victim) if victim.is_dir() else victim.read_bytes()) == before
    assert planted.is_symlink()
    assert [message for message in messages if f"{planted} is a symbolic link" in message]


def test_the_command_line_says_what_is_wrong_with_the_catalog(lineage: Lineage, victim: Path) -> None:
    lineage.execute("UPDATE shard SET key = '../../victim' WHERE id = 1")
    add_work(lineage)
    before = content(victim)
    for arguments in (["run"], ["status"]):
        done = photolineage(lineage, *arguments)
        assert done.returncode == 1, arguments
        assert "the catalog is damaged: shard.key = '../../victim'" in " ".join(done.stderr.split())
    lineage.execute("UPDATE shard_file SET path = '../victim/old.arrow' WHERE id = 1")
    assert not run_job(lineage, "sweep_files").success
    assert content(victim) == before


@pytest.mark.parametrize(
    "link", ["dagster", "dagster/dagster.yaml", "dagster/storage", "search.jpg", "backups"]
)
def test_what_else_home_holds_is_no_link(lineage: Lineage, victim: Path, link: str) -> None:
    planted = lineage.home / link
    if planted.is_dir():
        shutil.rmtree(planted)
    else:
        planted.unlink(missing_ok=True)
    planted.symlink_to(victim if planted.suffix == "" else victim / "precious.txt")
    before = content(victim)
    if link == "backups":
        for file in lineage.home.glob("catalog.db*"):
            file.unlink()
        engine = create_catalog_engine(lineage.library.settings.catalog.url)
        bring_to(engine, "0001")
        engine.dispose()
    command = {"search.jpg": ["search", "--image-id", "1", "--open"], "backups": ["migrate"]}.get(
        link, ["run"]
    )

    done = photolineage(lineage, *command)

    assert done.returncode == 1
    assert f"{planted} is a symbolic link" in " ".join(done.stderr.split())
    assert content(victim) == before


class Noon(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Noon":
        return cls(2026, 1, 1, 12, tzinfo=tz)


def test_a_backup_does_not_overwrite_what_has_its_name(
    lineage: Lineage, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photolineage.catalog.migration_plan.datetime", Noon)
    backups = lineage.home / "backups"
    backups.mkdir()
    (backups / "catalog-20260101T120000_000000-0001.db").symlink_to(victim / "precious.txt")
    with pytest.raises(OSError, match="File exists"):
        back_up(lineage.library.engine, backups, "0001")
    assert (victim / "precious.txt").read_text() == "precious"
