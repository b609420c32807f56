"""The demo library, drawn once a session."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from photolineage.demo.library import render_library
from photolineage.demo.truth import LibraryTruth
from tests.conftest import made_once


@dataclass(frozen=True, slots=True)
class DrawnLibrary:
    photos: Path
    truth_file: Path
    truth: LibraryTruth


@pytest.fixture(scope="session")
def drawn_library(tmp_path_factory: pytest.TempPathFactory) -> DrawnLibrary:
    folder = made_once(
        tmp_path_factory,
        "demo-library",
        lambda folder: render_library(folder / "photos", folder / "truth.json"),
    )
    truth = LibraryTruth.read(folder / "truth.json")
    return DrawnLibrary(folder / "photos", folder / "truth.json", truth)
