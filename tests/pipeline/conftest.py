"""What the tests of several steps begin with."""

import pytest

from tests.library import Library


@pytest.fixture
def registered(library: Library) -> Library:
    """A library whose images are registered, and not embedded."""
    library.scan()
    library.register_all()
    return library
