"""What the tests of several steps begin with."""

import pytest

from photolineage.steps.scan import ScanReport
from tests.library import Library

PHOTOS = 28
"""Of the library that a test begins with."""


def counts(report: ScanReport) -> dict[str, int]:
    """What a scan counted, without what it did not meet."""
    names = ("files", "new", "changed", "missing", "returned", "retimed", "unchanged")
    return {name: count for name in names if (count := getattr(report, name))}


@pytest.fixture
def registered(library: Library) -> Library:
    """A library whose images are registered, and not embedded."""
    library.scan()
    library.register_all()
    return library
