"""A disk that is full or read-only ends a step with a clear error; when there is room again, nothing is lost."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from photolineage.catalog.migrate import upgrade
from photolineage.catalog.vocabulary import JobState
from photolineage.lineage import JobKind
from photolineage.settings import load_settings
from tests.faults.conftest import CHECKPOINT
from tests.library import Library
from workloads.killing.workers import Workers

IMAGES = 226
REMEDY = "Free space on the disk of the home directory, or make it writable, and run again. Committed work is kept."

STEPS: dict[str, tuple[Callable[[Library], object], JobKind]] = {
    "registering": (lambda library: library.scan(), JobKind.REGISTER),
    "embedding": (lambda library: (library.scan(), library.register_all()), JobKind.EMBED),
    "indexing": (
        lambda library: (library.scan(), library.register_all(), library.embed_all()),
        JobKind.INDEX,
    ),
}
"""What is done before each step, and the step's jobs."""


def with_catalog(library: Library, url: str, *, home: str = "home") -> Library:
    """The library with its catalog elsewhere, migrated."""
    config = library.settings.config_file
    config.write_text(
        config.read_text().replace("sqlite:///{home}/catalog.db", url).replace("'home'", f"'{home}'")
    )
    library.engine.dispose()
    settings = load_settings(config)
    engine = settings.catalog.open_engine()
    upgrade(engine)
    return Library(settings, engine)


def over(workers: Workers, library: Library, nursery: subprocess.Popen[str] | None = None) -> Workers:
    """The same workers, over another library or from another nursery."""
    return Workers(library.settings, library.engine, workers.log, nursery or workers.nursery)


def error_of_a_run(workers: Workers) -> str:
    workers.start()
    assert workers.wait() == 1
    return workers.of("error")[-1]


def assert_that_a_run_completes(workers: Workers, library: Library) -> None:
    workers.start()
    assert workers.wait() == 0, workers.of("error")
    live = library.live()
    assert (len(live.rows), live.missing) == (IMAGES, 0)
    assert library.indexes.open("tiny-a", 16).row_count() == IMAGES
    assert len(workers.of("embedded")) <= IMAGES + CHECKPOINT


@pytest.mark.parametrize(("step", "file_bytes"), [("registering", 16_000), ("embedding", 2_000)])
def test_a_file_that_cannot_be_written_whole(
    workers: Workers, large_library: Library, postgresql_database: URL, step: str, file_bytes: int
) -> None:
    """As on a full disk, for everybody: the system refuses to let the file grow."""
    library = with_catalog(large_library, postgresql_database.render_as_string(hide_password=False))
    prepare, kind = STEPS[step]
    prepare(library)
    workers = over(workers, library)
    workers.start(file_bytes=file_bytes)
    assert workers.wait() == 1
    (error,) = workers.of("error")
    assert error.startswith(f"StorageError: {library.settings.home}/")
    assert "cannot be written: " in error
    assert "File too large" in error
    assert error.endswith(REMEDY)
    job = library.jobs(kind)[-1]
    assert (job.state, job.done) == (JobState.FAILED, 0)
    assert job.error == error
    assert_that_a_run_completes(workers, library)
    library.engine.dispose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB; the rights to mount one are needed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            while True:
                try:
                    if file.write(b"\0" * size) < size:
                        break
                except OSError:
                    break
    assert os.statvfs(disk).f_bavail == 0
    return filler


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk(
    workers: Workers, large_library: Library, small_disk: Path, tmp_path: Path, step: str
) -> None:
    library = with_catalog(large_library, f"sqlite:///{tmp_path}/catalog.db", home=str(small_disk / "home"))
    prepare, kind = STEPS[step]
    prepare(library)
    filler = fill(small_disk)
    workers = over(workers, library)
    error = error_of_a_run(workers)
    assert str(library.settings.home) in error
    assert "No space left on device" in error
    assert "Free space on the disk of the home directory, or make it writable" in error
    job = library.jobs(kind)[-1]
    assert (job.state, job.error) == (JobState.FAILED, error)
    filler.unlink()
    assert_that_a_run_completes(workers, library)


@pytest.mark.parametrize("step", ["registering", "embedding"])
def test_a_full_disk_of_the_catalog(
    workers: Workers, large_library: Library, small_disk: Path, tmp_path: Path, step: str
) -> None:
    library = with_catalog(large_library, f"sqlite:///{small_disk}/catalog.db", home=str(tmp_path / "home"))
    prepare, _kind = STEPS[step]
    prepare(library)
    library.engine.dispose()
    filler = fill(small_disk)
    workers = over(workers, library)
    error = error_of_a_run(workers)
    assert error.startswith(f"CatalogUnreachableError: catalog.url = 'sqlite:///{small_disk}/catalog.db': ")
    assert "Free space on its disk" in error or "Its disk is full, read-only or failing" in error
    filler.unlink()
    assert_that_a_run_completes(workers, library)


@pytest.mark.parametrize("step", STEPS)
def test_a_read_only_home(
    workers: Workers,
    obedient_nursery: subprocess.Popen[str],
    large_library: Library,
    tmp_path: Path,
    step: str,
) -> None:
    library = with_catalog(large_library, f"sqlite:///{tmp_path}/catalog.db")
    prepare, kind = STEPS[step]
    prepare(library)
    home = library.settings.home
    home.mkdir(exist_ok=True)
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    workers = over(workers, library, obedient_nursery)
    error = error_of_a_run(workers)
    for folder in folders:
        folder.chmod(0o755)
    assert str(home) in error
    assert "Permission denied" in error
    assert "Free space on the disk of the home directory, or make it writable" in error
    job = library.jobs(kind)[-1]
    assert (job.state, job.error) == (JobState.FAILED, error)
    assert_that_a_run_completes(workers, library)


def test_a_read_only_catalog(
    workers: Workers, obedient_nursery: subprocess.Popen[str], large_library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "catalog"
    library = with_catalog(large_library, f"sqlite:///{folder}/catalog.db")
    library.scan()
    library.engine.dispose()
    files = list(folder.iterdir())
    for path in (*files, folder):
        path.chmod(0o555)
    workers = over(workers, library, obedient_nursery)
    error = error_of_a_run(workers)
    for path in (folder, *files):
        path.chmod(0o755)
    assert error.startswith(f"CatalogUnreachableError: catalog.url = 'sqlite:///{folder}/catalog.db': ")
    assert "readonly database" in error
    assert "Make the file and its folder writable for this user" in error
    assert_that_a_run_completes(workers, library)
