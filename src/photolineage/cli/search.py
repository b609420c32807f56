"""`photolineage search`: find images by text, by image file, and by image of the library."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from photolineage.catalog.listing import known_time
from photolineage.cli.app import (
    AsJson,
    Model,
    app,
    chosen_settings,
    fail,
    known_model,
    open_catalog,
    reported_errors,
)
from photolineage.cli.scope_options import (
    BeforeOption,
    BoxOption,
    EventOption,
    KeywordOption,
    NearOption,
    PersonOption,
    RatingOption,
    SinceOption,
    SourceOption,
    WrittenOption,
    scope_of,
)
from photolineage.cli.terminal import console, errors, linked, print_json, shown, table
from photolineage.plain_text import counted

if TYPE_CHECKING:
    from photolineage.search.find import FoundImages
    from photolineage.search.query import Weighted


def _weighted(read: Callable[[str], Any]) -> "Callable[[str], Weighted[Any]]":
    """A parser of "<weight>:<value>". Everything after the first colon is the value."""

    def parse(given: str) -> "Weighted[Any]":
        from photolineage.search.query import QueryError, Weighted

        weight, colon, value = given.partition(":")
        if not colon:
            raise typer.BadParameter(f"{given!r}: give a weight and a value, such as 0.5:{given}")
        try:
            return Weighted(read(value), float(weight))
        except (ValueError, QueryError) as error:
            raise typer.BadParameter(f"{given!r}: {error}") from error

    return parse


def _image_id(given: str) -> int:
    image_id = int(given)
    if not 0 < image_id < 2**63:
        raise ValueError("no image has such an id")
    return image_id


def _weighted_option(names: str, what: str, read: Callable[[str], Any]) -> Any:
    return typer.Option(
        names,
        parser=_weighted(read),
        metavar=f"WEIGHT:{what}",
        help="As above, with a weight: 2 counts double, below 0 finds what differs. Repeatable.",
    )


@app.command()
def search(
    text: Annotated[
        list[str] | None, typer.Argument(help="What the images show, in words. Each argument is one text.")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option("--not", help="What the images do not show, in words. Repeatable.")
    ] = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="Find images that resemble this image file. Repeatable.")
    ] = None,
    image_id: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=2**63 - 1, help="Find images that resemble this image of the library. Repeatable."
        ),
    ] = None,
    weighted_text: Annotated[list[Any] | None, _weighted_option("--weighted-text", "TEXT", str)] = None,
    weighted_image: Annotated[list[Any] | None, _weighted_option("--weighted-image", "FILE", Path)] = None,
    weighted_image_id: Annotated[
        list[Any] | None, _weighted_option("--weighted-image-id", "ID", _image_id)
    ] = None,
    source: SourceOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    near: NearOption = None,
    box: BoxOption = None,
    event: EventOption = None,
    keyword: KeywordOption = None,
    person: PersonOption = None,
    rating: RatingOption = None,
    written: WrittenOption = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="The number of images on a page.")] = 10,
    page: Annotated[int, typer.Option(min=1, max=1000, help="The number of the page, from 1.")] = 1,
    model: Model = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a picture of the hits to this file.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the picture of the hits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find images by text, by image file and by image of the library. All parts of the query are added up.

    Without any part, filters by what people wrote find all their images, the newest first.

    photolineage search beach --not people --since 2023-06-01 --near 43.5 10.3 20
    """
    from photolineage.search.by_notes import list_images
    from photolineage.search.find import find_images
    from photolineage.search.query import Query, Weighted
    from photolineage.stores.root_folder import RootFolder

    with reported_errors(as_json):
        texts = (
            *map(Weighted, text or ()),
            *(Weighted(t, -1.0) for t in unlike or ()),
            *(weighted_text or ()),
        )
        files = (*map(Weighted, image or ()), *(weighted_image or ()))
        ids = (*map(Weighted, image_id or ()), *(weighted_image_id or ()))
        scope = scope_of(source, since, before, near, box, event, keyword, person, rating, written)
        query = Query(texts, files, ids) if texts or files or ids else None
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        key = known_model(settings, engine, model)
        if query is None:
            found = list_images(settings, engine, key, scope, k=k, page=page)
        else:
            found = find_images(settings, engine, key, query, scope=scope, k=k, page=page)
        if show and sheet is None:
            sheet = RootFolder(settings.home).inner("search.jpg")
        if sheet is not None:
            found.write_sheet(sheet)
    if as_json:
        print_json({"model": key, "page": page, "notes": found.notes, "hits": found.hits})
    else:
        _print_found(found, key, page, sheet)
    if show and sheet is not None:
        _open(sheet)


def _print_found(found: "FoundImages", model_key: str, page: int, sheet: Path | None) -> None:
    for note in found.notes:
        errors.print(shown(f"Note: {note}"))
    rows = [
        (
            "" if hit.score is None else f"{hit.score:.3f}",
            hit.image_id,
            known_time(hit.taken_at, hit.taken_at_precision) if hit.taken_at else "",
            Text("\n").join(
                [
                    *(linked(path) for path in (hit.path, *hit.copies)),
                    *([Text(f"+{len(hit.stack)} in its stack")] if hit.stack else []),
                ]
            ),
        )
        for hit in found.hits
    ]
    title = f"{counted(len(rows), 'image')} found with {model_key}" + (f", page {page}" if page > 1 else "")
    console.print(table(title, ["score#", "image#", "taken (UTC)", "path"], rows))
    if sheet is not None:
        console.print("Contact sheet:", linked(sheet.resolve()))


def _open(sheet: Path) -> None:
    """Open the sheet with the platform's viewer for pictures."""
    if typer.launch(str(sheet.resolve())) != 0:
        fail(f"xdg-open is missing, so no viewer was started. Open {sheet.resolve()} yourself")
