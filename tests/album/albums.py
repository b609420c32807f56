"""Writes the album of a library, and reads its pages."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from photolineage.album.write import AlbumReport, write_album
from photolineage.steps.cluster import cluster_model
from photolineage.stores.event_segments import SegmentStore
from tests.lineage import Lineage


class Html(HTMLParser):
    """The elements, the attributes and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, tag: str, attribute: str) -> list[str]:
        return [
            attributes[attribute]
            for name, attributes in self.elements
            if name == tag and attribute in attributes
        ]


def nothing(_done: int, _total: int) -> None:
    """Nobody watches."""


def write(lineage: Lineage, folder: Path, on_pages: Callable[[int, int], None] = nothing) -> AlbumReport:
    library = lineage.library
    return write_album(
        library.engine,
        library.previews,
        library.indexes,
        "tiny-a",
        folder,
        on_pictures=nothing,
        on_pages=on_pages,
    )


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each file was last written, and what it holds."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: (path.stat().st_mtime_ns, path.read_bytes()) for name, path in found.items()}


def contents(folder: Path) -> dict[str, bytes]:
    return {name: content for name, (_, content) in files(folder).items()}


def changed(before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]) -> set[str]:
    """The names of files that were written, appeared or went."""
    return {name for name in before | after if before.get(name) != after.get(name)}


def event_ids(lineage: Lineage) -> list[int]:
    with lineage.library.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM event ORDER BY starts_at").scalars())


def bring_up_to_date(lineage: Lineage) -> None:
    library = lineage.library
    library.build("tiny-a")
    embedder, _ = library.embedder()
    segments = SegmentStore(lineage.library.files)
    cluster_model(
        library.context(),
        library.embeddings,
        segments,
        "tiny-a",
        embedder.encode_text,
        library.settings.events,
    )


class PowerCutError(Exception):
    """What ends the run in the middle."""


def after_the_first_page(done: int, _total: int) -> None:
    if done:
        raise PowerCutError
