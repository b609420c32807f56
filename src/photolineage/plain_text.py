"""Text from outside the program (paths, titles, error messages) made safe to store and to show."""

import re
import unicodedata
from pathlib import Path


def encodable(text: Path | str) -> str:
    """The text in valid UTF-8: bytes of a file name that are not UTF-8 are escaped as in `\\udcff`.

    Everything else is kept, also line breaks: for JSON, for the catalog, and for messages of several lines.
    """
    return str(text).encode(errors="backslashreplace").decode()


def counted(count: int, one: str, several: str = "") -> str:
    """The number with its noun, such as `1 image` or `2,000 images`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def printable(text: Path | str) -> str:
    """The text on one line, safe for a terminal: line breaks and control characters are escaped as in `\\n`.

    Bytes of a file name that are not UTF-8 are escaped too.
    """
    return "".join(
        letter if letter.isprintable() or _is_space(letter) else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def folded(text: str) -> str:
    """The text for comparisons that ignore the case and the encoding of letters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def markdown_code(text: Path | str) -> str:
    """The text as code in one line of Markdown: nothing in it is markup, nor a link. For tables: `cell_code`."""
    plain = printable(text)
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    return f"{fence} {plain} {fence}" if "`" in plain else f"{fence}{plain}{fence}"


def cell_code(text: Path | str) -> str:
    """The text as code in one cell of a Markdown table. `|` becomes `¦`, as some end a cell even at an escaped one."""
    return markdown_code(str(text).replace("|", "¦"))


def without_links(text: str) -> str:
    """The text for a place that renders Markdown, such as the description of a check: it has no picture, link or tag.

    A file may be named `![](https://…)`; as a picture, every browser that shows the text would ask that address for it.
    """
    return _LINKS.sub(lambda found: f"\\{found.group()}", text)


_LINKS = re.compile(r"\\(?=[!-/:-@\[-`{-~])|!(?=\[)|\](?=[(\[:])|<(?=[A-Za-z/!?])")
"""What begins a picture, a link, its definition, a tag or a bare address; and backslashes that would hide our own."""


def _is_space(letter: str) -> bool:
    """Whether this is a space inside a line; macOS writes a narrow one into the names of screenshots."""
    return unicodedata.category(letter) == "Zs"


def toml_string(value: str) -> str:
    """A text as a string of a TOML file."""
    escaped = "".join(
        character if character.isprintable() and character not in '"\\' else f"\\U{ord(character):08x}"
        for character in value
    )
    return f'"{escaped}"'
