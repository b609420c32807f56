"""The review list of near-duplicates, from the photos to the command."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import insert, update
from typer.testing import CliRunner

from photolineage.catalog.engine import write_transaction
from photolineage.catalog.orm import Image as CatalogImage
from photolineage.catalog.orm import ImageNote
from photolineage.cli.app import app
from photolineage.near_duplicates.review import NearDuplicates, find_near_duplicates
from photolineage.settings import CONFIG_VARIABLE
from photolineage.stores.pictures import CELL_PIXELS
from tests.library import Library
from tests.shots import draw_shot

NOON = datetime(2024, 7, 20, 12, tzinfo=UTC)


def sent(original: Path, path: Path, *, width: int = 300, crop: float = 0) -> Path:
    """A smaller copy without metadata, as messengers send."""
    with Image.open(original) as picture:
        box = (0, 0, picture.width * (1 - crop), picture.height)
        smaller = picture.resize((width, width * 3 // 4), box=box)
    path.parent.mkdir(parents=True, exist_ok=True)
    smaller.save(path, quality=60)
    return path


@pytest.fixture
def doubled(library: Library) -> Library:
    """A library with an original, its edited copy, and what was sent of it; and pictures that only resemble it."""
    original = draw_shot(library.root / "trip/IMG_0001.jpg", 1, NOON, width=640)
    draw_shot(library.root / "trip/IMG_0001-edited.jpg", 1, NOON, width=480)
    draw_shot(library.root / "next/IMG_0009.jpg", 1, NOON + timedelta(hours=1), width=600)
    sent(original, library.root / "sent/a.jpg")
    sent(original, library.root / "sent/cropped.jpg", crop=0.3)
    draw_shot(library.root / "trip/IMG_0002.jpg", 2, NOON)
    library.build()
    return library


def groups(library: Library) -> list[NearDuplicates]:
    return find_near_duplicates(library.settings, library.engine, "tiny-a").groups


def names(group: NearDuplicates) -> list[str]:
    return [image.path.name for image in (group.best, *group.others)]


def test_a_smaller_copy_is_found_and_the_largest_is_the_best(doubled: Library) -> None:
    (group,) = groups(doubled)
    assert names(group) == ["IMG_0001.jpg", "a.jpg"]
    (copy,) = group.others
    assert (copy.width, copy.lost, group.size_bytes) == (300, (), copy.size_bytes)
    assert copy.cosine > 0.95


def test_what_only_a_smaller_copy_has_would_be_lost(doubled: Library) -> None:
    images = doubled.images()
    with write_transaction(doubled.engine) as connection:
        facts = {"camera": None, "taken_at_source": "file_time"}
        connection.execute(update(CatalogImage).where(CatalogImage.path == "trip/IMG_0001.jpg").values(facts))
        known = {"latitude": 1.0, "longitude": 2.0, "camera": "R5", "taken_at_source": "exif"}
        connection.execute(update(CatalogImage).where(CatalogImage.path == "sent/a.jpg").values(known))
        raw_of_a = {"stack_of_id": images["sent/a.jpg"].id, "stack_rule": "same_shot", "format": "RAW"}
        connection.execute(
            update(CatalogImage).where(CatalogImage.path == "trip/IMG_0002.jpg").values(raw_of_a)
        )
    (copy,) = [image for group in groups(doubled) for image in group.others if image.path.name == "a.jpg"]
    assert copy.lost == ("place", "camera's time", "camera", "RAW", "1 other file of its stack")


def test_what_people_wrote_only_about_a_smaller_copy_would_be_lost(doubled: Library) -> None:
    images = doubled.images()
    best, copy = images["trip/IMG_0001.jpg"].id, images["sent/a.jpg"].id
    notes = [(best, "keyword"), (copy, "keyword"), (copy, "keyword"), (copy, "rating"), (copy, "title")]
    with write_transaction(doubled.engine) as connection:
        for image_id, field in notes:
            note = {"image_id": image_id, "field": field, "value": "3", "key": "XMP"}
            connection.execute(insert(ImageNote).values(note))
    (found,) = [image for group in groups(doubled) for image in group.others if image.image_id == copy]
    assert found.lost == ("title", "rating")


def test_images_without_a_hash_are_counted(doubled: Library) -> None:
    with write_transaction(doubled.engine) as connection:
        connection.execute(update(CatalogImage).values(perceptual_hash=None))
    review = find_near_duplicates(doubled.settings, doubled.engine, "tiny-a")
    assert (review.groups, review.unhashed) == ([], 26 + 6)


def test_the_command_prints_the_groups_and_draws_them(
    doubled: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(*arguments: str) -> Any:
        monkeypatch.setenv(CONFIG_VARIABLE, str(doubled.settings.config_file))
        done = CliRunner().invoke(app, ["duplicates", *arguments], env={"COLUMNS": "250"})
        assert done.exit_code == 0, done.output
        return done.stdout

    sheet = tmp_path / "review.png"
    printed = run("--sheet", str(sheet))
    assert "1 group of near-duplicates" in printed
    assert str(doubled.root / "sent/a.jpg") in "".join(re.split(r"[\s│]+", printed))  # it is folded
    with Image.open(sheet) as picture:
        assert picture.width > 2 * CELL_PIXELS[0]
    answer = json.loads(run("--json"))
    assert answer["total"] == 1
    assert answer["groups"][0]["best"]["path"].endswith("trip/IMG_0001.jpg")
