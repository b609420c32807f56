"""The figures of the library: how far each step is, at which rate, and how long the rest takes."""

from sqlalchemy import update

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import MlJob
from photolineage.lineage import JobKind
from photolineage.steps.freshness import RETIRED
from photolineage.steps.index import maintain_index
from photolineage.steps.library_status import LibraryFigures, StepProgress, library_figures
from tests.library import Library, draw_photo


def figures(library: Library) -> LibraryFigures:
    return library_figures(library.engine, library.settings, library.files, library.indexes)


def counts(library: Library) -> dict[tuple[str, str | None, str | None], tuple[int, int]]:
    """Done and total of each step that has any images, by step, source and model."""
    progress = figures(library).progress
    return {(one.step, one.source, one.model): (one.done, one.total) for one in progress if one.total}


def test_the_progress_of_each_step_is_counted(any_library: Library) -> None:
    assert counts(any_library) == {}
    any_library.scan()
    scanned = {("source_files", "photos", None): (28, 28), ("registered_images", "photos", None): (0, 28)}
    assert counts(any_library) == scanned

    any_library.register("photos-00000")
    any_library.embed("photos-00000")
    assert counts(any_library) == scanned | {
        ("registered_images", "photos", None): (10, 28),
        ("image_embeddings", "photos", "tiny-a"): (10, 10),
        ("image_embeddings", "photos", "tiny-b"): (0, 10),
        ("vector_index", None, "tiny-a"): (0, 10),
        ("image_events", None, "tiny-a"): (0, 10),
    }
    any_library.index()
    assert maintain_index(any_library.context(), any_library.indexes, "tiny-a") is not None
    assert counts(any_library)["vector_index", None, "tiny-a"] == (10, 10)

    with write_transaction(any_library.engine) as connection:
        connection.execute(
            update(MlJob).where(MlJob.kind == JobKind.INDEX).values(input_version=f"{RETIRED}-now")
        )
    assert counts(any_library)["vector_index", None, "tiny-a"] == (0, 10)


def test_missing_images_are_not_to_be_read(library: Library) -> None:
    library.scan()
    (library.root / "2024/00.jpg").unlink()
    draw_photo(library.root / "2024/13.jpg", 100)
    library.scan()
    assert counts(library)["registered_images", "photos", None] == (0, 28)


def test_the_rest_takes_as_long_as_the_newest_jobs_did(library: Library) -> None:
    library.scan()
    library.register("photos-00000")
    library.register("photos-00001")
    for subject, seconds in (("photos-00000", 10), ("photos-00001", 30)):  # 20 images in 40 seconds
        with write_transaction(library.engine) as connection:
            connection.exec_driver_sql(
                "UPDATE ml_job SET started_at = '2024-01-01 00:00:00.000000', "
                f"heartbeat_at = '2024-01-01 00:00:{seconds}.000000' WHERE subject = '{subject}'"
            )
    (registered,) = [one for one in figures(library).progress if one.step == "registered_images"]
    assert registered == StepProgress("registered_images", "photos", None, 20, 28, 0.5)
    assert registered.left == 8
    assert registered.seconds_left == 16


def test_without_a_rate_the_time_left_is_unknown(library: Library) -> None:
    library.scan()
    (registered,) = [one for one in figures(library).progress if one.step == "registered_images"]
    assert (registered.left, registered.images_per_second, registered.seconds_left) == (28, None, None)
