"""A disk may be wiped only if everything on it stands intact, and verified lately, on another disk."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image
from photolineage.settings import load_settings
from photolineage.steps.covered import Coverage, CoverageError, find_coverage
from photolineage.steps.physical_disks import physical_disks
from photolineage.steps.source_jobs import UnknownSourceError
from tests.library import Library, draw_photo, touch

DISK, BACKUP = "disk", "backup"
NAMES = ["2020/a.jpg", "2020/b.jpg", "2021/c.jpg"]


class Two:
    """A source with three photos, and a source with copies of them; both registered."""

    def __init__(self, library: Library, folder: Path) -> None:
        config = library.settings.config_file
        self.disk_root, self.backup_root = folder / "disk", folder / "backup"
        for number, name in enumerate(NAMES):
            draw_photo(self.disk_root / name, 700 + number)
            target = self.backup_root / f"copy of {Path(name).name}"
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(self.disk_root / name, target)
        config.write_text(
            config.read_text()
            + f"[sources.disk]\nroot = '{self.disk_root}'\nremovable = true\n"
            + f"[sources.backup]\nroot = '{self.backup_root}'\nremovable = true\n"
        )
        settings = load_settings(config)
        self.disk = Library(settings, library.engine, DISK)
        self.backup = Library(settings, library.engine, BACKUP)
        for source in (self.disk, self.backup):
            source.scan()
            source.register(f"{source.source}-00000")

    def coverage(self, *by: str, days: int = 30) -> Coverage:
        return find_coverage(self.disk.engine, DISK, by, verified_within_days=days)

    def why(self) -> dict[str, str | None]:
        """Why each image would be lost."""
        return {image.path: image.problem for image in self.coverage().images}


@pytest.fixture
def two(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    """Two sources, as if each were on a disk of its own; the copies are verified."""
    monkeypatch.setattr(
        "photolineage.steps.covered.physical_disks",
        lambda path: frozenset({"sdb" if "/backup" in path else "sda"}),
    )
    two = Two(library, tmp_path)
    two.backup.verify("backup-00000")
    return two


def test_a_disk_whose_files_were_all_verified_elsewhere_is_covered(two: Two) -> None:
    coverage = two.coverage()
    assert (coverage.covered, coverage.lost, coverage.by) == (True, [], [BACKUP])
    assert [image.path for image in coverage.images] == NAMES
    (copy,) = coverage.images[0].copies
    assert (copy.source, copy.path, copy.problem) == (BACKUP, str(two.backup_root / "copy of a.jpg"), None)
    assert copy.verified_at is not None
    assert datetime.now(UTC) - copy.verified_at < timedelta(minutes=10)
    (step,) = coverage.plan
    assert step.startswith(
        "Every image (3) stands on another disk, and this one has no other files of yours."
    )


def _add_new(two: Two) -> None:
    shutil.copy2(two.disk_root / NAMES[0], two.disk_root / "2020/new.jpg")


def _edit(two: Two) -> None:
    touch(two.disk_root / NAMES[0])


def _edit_and_scan(two: Two) -> None:
    touch(two.disk_root / NAMES[0])
    two.disk.scan()


def _tear(two: Two) -> None:
    (two.disk_root / NAMES[0]).write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    two.disk.scan()
    two.disk.register("disk-00000")


def _lose_copy(two: Two) -> None:
    (two.backup_root / "copy of a.jpg").unlink()


def _unplug(two: Two) -> None:
    two.backup_root.rename(two.backup_root.with_name("unplugged"))


def _edit_copy(two: Two) -> None:
    touch(two.backup_root / "copy of a.jpg")


def _rot_copy(two: Two) -> None:
    with write_transaction(two.disk.engine) as connection:
        rotten = update(Image).where(Image.path == "copy of a.jpg")
        connection.execute(rotten.values(rotten_at=datetime.now(UTC)))


def _verified(at: datetime | None) -> Callable[[Two], None]:
    def set_time(two: Two) -> None:
        with write_transaction(two.disk.engine) as connection:
            connection.execute(update(Image).where(Image.path == "copy of a.jpg").values(verified_at=at))

    return set_time


@pytest.mark.parametrize(
    ("change", "path", "reason", "step"),
    [
        (_add_new, "2020/new.jpg", "not in the catalog", "Scan and register the source disk"),
        (_edit, NAMES[0], "changed since the last scan", "does not know 1 of its images"),
        (_edit_and_scan, NAMES[0], "not registered yet", "does not know 1 of its images"),
        (_tear, NAMES[0], "cannot be read as an image (corrupt)", "Copy 1 image to another disk"),
        (_lose_copy, NAMES[0], "does not count: gone since the last scan", "Copy 1 image to another disk"),
        (_unplug, NAMES[0], "does not count: its disk is away", "Mount the disk of backup"),
        (_edit_copy, NAMES[0], "does not count: changed since the last scan", "Copy 1 image"),
        (_rot_copy, NAMES[0], "no copy elsewhere", "Copy 1 image to another disk"),
        (
            _verified(None),
            NAMES[0],
            "does not count: not verified since it was registered",
            "Run verified_originals for backup-00000 first",
        ),
        (
            _verified(datetime(2020, 1, 2, tzinfo=UTC)),
            NAMES[0],
            "does not count: last verified 2020-01-02",
            "Run verified_originals for backup-00000 first",
        ),
    ],
)
def test_an_image_without_a_copy_that_counts_would_be_lost(
    two: Two, change: Callable[[Two], None], path: str, reason: str, step: str
) -> None:
    change(two)
    coverage = two.coverage()
    assert not coverage.covered
    assert path in [image.path for image in coverage.lost]
    assert reason in str(two.why()[path])
    assert any(step in one for one in coverage.plan), coverage.plan
    assert coverage.plan[-1] == "Then run this command again."


def test_files_of_programs_do_not_count_and_other_files_are_not_compared(two: Two) -> None:
    for name in ("@eaDir/a.jpg/THUMB.jpg", ".DS_Store", "2020/Thumbs.db", "2020/._a.jpg"):
        _write(two.disk_root / name)
    (two.disk_root / "link.jpg").symlink_to(two.backup_root / "copy of a.jpg")
    (two.disk_root / "folder").symlink_to(two.backup_root)
    coverage = two.coverage()
    assert coverage.covered
    assert {kind: files.count for kind, files in coverage.of_programs.items()} == {
        "links": 2,
        "@eaDir/": 1,
        ".DS_Store": 1,
        "Thumbs.db": 1,
        "._*": 1,
    }
    assert coverage.of_programs["links"].examples == ["folder", "link.jpg"]
    beside = ("2020/a.MOV", "2020/b.mov", "2020/a.xmp", "2020/b.jpg.json", "2020/a.aae")
    for name in (
        *beside,
        *(f"2021/{number}.mov" for number in range(7)),
        "2021/package.json",
        ".hidden/notes",
    ):
        _write(two.disk_root / name)
        shutil.copy2(two.disk_root / name, two.backup_root)  # a copy proves nothing: nobody compares it
    coverage = two.coverage()
    assert (coverage.covered, coverage.lost) == (False, [])
    assert {kind: (files.count, files.examples) for kind, files in coverage.not_compared.items()} == {
        ".mov": (7, [f"2021/{number}.mov" for number in range(5)]),
        "live photos (.mov)": (2, ["2020/a.MOV", "2020/b.mov"]),
        ".json": (1, ["2021/package.json"]),
        "Apple's edits (.aae)": (1, ["2020/a.aae"]),
        "no ending": (1, [".hidden/notes"]),
        "sidecars (.json)": (1, ["2020/b.jpg.json"]),
        "sidecars (.xmp)": (1, ["2020/a.xmp"]),
    }
    assert coverage.plan[0].startswith("Photolineage compares only images.")
    assert "do without them: 7 × .mov, 2 × live photos (.mov)," in coverage.plan[0]


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_an_unlistable_folder_may_hold_anything(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("/2021"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    coverage = two.coverage()
    assert (coverage.covered, coverage.unreadable) == (False, {"2021": "Permission denied"})


def test_only_the_named_sources_count(two: Two) -> None:
    assert two.coverage(BACKUP).covered
    with pytest.raises(UnknownSourceError):
        two.coverage("nowhere")
    with pytest.raises(CoverageError, match="a source cannot cover itself"):
        two.coverage(DISK)
    two.disk_root.rename(two.disk_root.with_name("gone"))
    with pytest.raises(CoverageError, match="Mount the disk"):
        two.coverage()


def test_a_copy_on_the_same_disk_does_not_count(library: Library, tmp_path: Path) -> None:
    two = Two(library, tmp_path)
    two.backup.verify("backup-00000")
    assert set(two.why().values()) == {"the copy in backup does not count: on the same disk"}


def test_a_copy_inside_the_folder_does_not_count(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = two.disk_root / "kept"
    shutil.move(two.backup_root, inside)
    two.backup_root.symlink_to(inside)
    assert two.why()["2020/a.jpg"] == (
        "the copy in backup does not count: inside the folder that would be wiped"
    )


def test_partitions_and_volumes_are_traced_to_their_disks(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    assert physical_disks(str(tmp_path), system=tmp_path / "none") == {f"file system {device}"}
    disk, volume = tmp_path / "devices/sda", tmp_path / "devices/dm-0"
    (disk / "sda2").mkdir(parents=True)
    (disk / "sda2/partition").touch()
    (tmp_path / "dev/block").mkdir(parents=True)
    link = tmp_path / "dev/block" / number
    link.symlink_to(disk / "sda2")
    assert physical_disks(str(tmp_path), system=tmp_path) == {"sda"}
    (volume / "slaves").mkdir(parents=True)
    (volume / "slaves/sda2").symlink_to(disk / "sda2")
    (tmp_path / "devices/sdb").mkdir()
    (volume / "slaves/sdb").symlink_to(tmp_path / "devices/sdb")
    link.unlink()
    link.symlink_to(volume)
    assert physical_disks(str(tmp_path), system=tmp_path) == {"sda", "sdb"}
