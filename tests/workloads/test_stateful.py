"""Whatever happens to a library, and in whatever order: once it is up to date, everything holds."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import delete, update

from photolineage.catalog.orm import EventImage, Image, ImageNote
from photolineage.models.registry import require_model
from photolineage.stores.vector_index import VectorIndexes
from workloads.killing.steps import Death
from workloads.killing.workers import nursery
from workloads.stateful.disk import NO_PICTURE, Place, drawn_photo
from workloads.stateful.examine import Vectors
from workloads.stateful.library import SOURCES, LivingLibrary, ViolationError
from workloads.stateful.machine import LibraryMachine
from workloads.stateful.undisturbed import undisturbed_vectors

SEQUENCES = 50
STEPS = 10
PHOTO = Place("camera", "x.jpg")


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    with nursery() as process:
        yield process


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Vectors]:
    return undisturbed_vectors(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def library(
    tmp_path: Path, process: subprocess.Popen[str], vectors: Mapping[str, Vectors]
) -> Iterator[LivingLibrary]:
    library = LivingLibrary(tmp_path, process, vectors)
    library.disk.write(PHOTO, drawn_photo(5))
    yield library
    library.close()


@pytest.mark.timeout(1800)
def test_fifty_sequences(process: subprocess.Popen[str], vectors: Mapping[str, Vectors]) -> None:
    class Machine(LibraryMachine):
        pass

    Machine.nursery, Machine.vectors = process, vectors
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=True,  # the same sequences every time: the benchmark looks for new ones
            phases=[Phase.generate],  # a failure is shrunk by the benchmark, which has the time for it
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_restored_catalog_does_not_take_the_embeddings_of_later_photos_for_its_own(
    library: LivingLibrary,
) -> None:
    library.bring_up_to_date()
    library.save()
    library.disk.write(PHOTO, drawn_photo(6))
    library.bring_up_to_date()
    library.restore()
    library.disk.write(PHOTO, drawn_photo(7))  # under the same image id, job id and file id as before

    library.bring_up_to_date()


def test_a_restored_catalog_gives_an_image_id_to_another_photo(library: LivingLibrary) -> None:
    library.bring_up_to_date()
    library.save()
    library.disk.write(Place("camera", "y.jpg"), drawn_photo(8))
    library.bring_up_to_date()
    library.restore()
    library.disk.delete(Place("camera", "y.jpg"))
    library.disk.write(Place("camera", "z.jpg"), drawn_photo(9))

    library.bring_up_to_date()


def test_a_source_is_renamed_after_a_kill_and_the_catalog_restored(library: LivingLibrary) -> None:
    library.bring_up_to_date()
    library.save()
    library.disk.write(Place("camera", "y.jpg"), drawn_photo(8))
    library.kill(Death("committed", 4))
    library.rename("camera")
    library.bring_up_to_date()
    assert library.keys["camera"] == "camera-renamed"
    library.restore()

    library.bring_up_to_date()
    assert library.keys["camera"] == "camera"


def test_a_kill_while_a_restored_catalog_names_lost_files(library: LivingLibrary) -> None:
    library.bring_up_to_date()
    library.save()
    library.rename("camera")
    library.restore()
    library.kill(Death("committed", 1))
    assert library.has_lost_files

    library.bring_up_to_date()


def test_a_kill_between_two_models(library: LivingLibrary) -> None:
    library.bring_up_to_date()
    library.configure("first", "second")
    library.kill(Death("committing", 8))
    assert library.torn

    library.bring_up_to_date()
    library.promote("second")

    assert library.serving == "second"
    library.retire("first")
    library.bring_up_to_date()


def test_no_disk_has_ever_been_there(library: LivingLibrary) -> None:
    for source in SOURCES:
        library.disk.unplug(source, leaves_mount_point=False)

    library.bring_up_to_date()
    assert library.ids == {}
    for source in SOURCES:
        library.disk.plug_in(source)
    library.bring_up_to_date()
    assert len(library.ids) == 3


def test_a_stack_ends_with_the_source_whose_folder_held_both_photos(library: LivingLibrary) -> None:
    original, edited = drawn_photo(6), drawn_photo(6, is_edited=True)
    library.disk.write(Place("phone", "a/y.jpg"), original)
    library.disk.write(Place("phone", "y-edited.jpg"), edited)
    library.bring_up_to_date()
    library.disk.write(Place("camera", "y.jpg"), original)
    library.disk.write(Place("camera", "y-edited.jpg"), edited)
    library.bring_up_to_date()
    library.forget("camera")

    library.bring_up_to_date()


def test_what_is_written_beside_a_photo_makes_only_this_photo_due(library: LivingLibrary) -> None:
    library.bring_up_to_date()
    library.disk.write_sidecar(PHOTO.sidecars[1], "wedding")
    library.bring_up_to_date()
    assert library.keywords[PHOTO] == {"wedding"}
    library.shift_times("camera", 1)  # raises if anything is read again
    with library.engine.begin() as connection:
        connection.execute(update(Image).values(sidecars=None))  # so that the next scan finds it changed
    library.settled_at = None

    with pytest.raises(ViolationError, match=r"read again, though nobody wrote to them: .*x\.jpg"):
        library.bring_up_to_date()


def test_rot_that_nobody_finds_and_rot_that_is_none(library: LivingLibrary) -> None:
    library.rot(PHOTO)
    library.disk.photos[PHOTO] = NO_PICTURE  # the library does not know that it is one
    library.seen[PHOTO] = NO_PICTURE
    with pytest.raises(ViolationError, match="verifying found"):
        library.rot(Place("camera", "first.jpg"))


def test_a_source_is_forgotten_and_a_catalog_that_knows_it_put_back(library: LivingLibrary) -> None:
    library.bring_up_to_date()
    library.save()
    library.forget("camera")
    library.bring_up_to_date()
    assert {place.source for place in library.ids} == {"phone"}
    library.add("camera")
    library.move("camera")
    library.bring_up_to_date()
    library.restore()

    library.bring_up_to_date()
    assert PHOTO in library.ids


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("image", "is in the catalog, but not on the disk"),
        ("hash", "has the hash of another content"),
        ("events", "the events"),
        ("index", "indexed"),
        ("stack", "shows the image None instead"),
        ("keywords", "has the keywords"),
        ("search", "a search for the keyword sea"),
        ("rot", "has the hash of another content"),
        ("file", "is committed, but not on the disk"),
    ],
)
def test_what_is_wrong_is_found(library: LivingLibrary, damage: str, named: str) -> None:
    library.disk.write(PHOTO.edited, drawn_photo(5, is_edited=True))
    library.disk.write_sidecar(PHOTO.sidecars[0], "sea")
    library.bring_up_to_date()
    settings = library.settings
    with library.engine.begin() as connection:
        match damage:
            case "image":
                del library.disk.photos[PHOTO]
            case "hash":
                connection.execute(update(Image).where(Image.path == PHOTO.path).values(content_hash="ab"))
            case "events":
                connection.execute(delete(EventImage))
            case "index":
                dim = require_model(connection, "first").embedding_dim
                index = VectorIndexes(settings.home).open("first", dim)
                index.synchronize(index.live_rows().sort_by("image_id").slice(1), lambda _files: iter(()))
            case "stack":
                connection.execute(update(Image).values(stack_of_id=None, stack_rule=None))
            case "keywords":
                library.disk.delete_sidecar(PHOTO.sidecars[0])
            case "search":
                connection.execute(update(ImageNote).values(name="elsewhere"))
            case "rot":
                library.disk.photos[PHOTO] += b"rot"
            case "file":
                next((settings.home / "previews").rglob("*.arrow")).unlink()

    with pytest.raises(ViolationError, match=named):
        library.examine()
