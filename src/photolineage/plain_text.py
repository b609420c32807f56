"""Names of files as text."""

from pathlib import Path


def printable(path: Path | str) -> str:
    """A path, or a text with paths in it, that can be encoded: bytes of names that are no UTF-8 are escaped."""
    return str(path).encode(errors="backslashreplace").decode()
