"""The options that limit a search, for each command that searches: source, time, place, event, what people wrote."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from photolineage.search.scope import Scope
    from photolineage.stores.vector_index import Box, Circle


def _moment(given: str) -> datetime:
    """A date or time in ISO 8601, such as 2024-07-20. Without an offset it is in this computer's time zone."""
    try:
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{given!r}: give a date such as 2024-07-20 or a time such as 2024-07-20T18:30+02:00"
        ) from error


SourceOption = Annotated[
    list[str] | None, typer.Option("--source", help="Only images of this source. Repeatable.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option("--since", parser=_moment, metavar="TIME", help="Only images taken at or after this time."),
]
BeforeOption = Annotated[
    datetime | None,
    typer.Option("--before", parser=_moment, metavar="TIME", help="Only images taken before this time."),
]
NearOption = Annotated[
    tuple[float, float, float] | None,
    typer.Option(
        "--near",
        metavar="LATITUDE LONGITUDE KM",
        help="Only images taken within KM kilometres of this place.",
    ),
]
BoxOption = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(
        "--box", metavar="SOUTH WEST NORTH EAST", help="Only images taken inside this box, in degrees."
    ),
]
EventOption = Annotated[
    list[str] | None,
    typer.Option("--event", help="Only images of this event, by its id or title. Repeatable."),
]

KeywordOption = Annotated[
    list[str] | None, typer.Option("--keyword", help="Only images with this keyword. Repeatable.")
]
PersonOption = Annotated[
    list[str] | None,
    typer.Option("--person", help="Only images in which somebody named this person. Repeatable."),
]
RatingOption = Annotated[
    int | None, typer.Option("--rating", min=1, max=5, help="Only images with at least so many stars.")
]
WrittenOption = Annotated[
    list[str] | None,
    typer.Option(
        "--written",
        metavar="TEXT",
        help="Only images with this text in their title, description, keywords, people or places. Repeatable.",
    ),
]


def scope_of(
    source: Sequence[str] | None,
    since: datetime | None,
    before: datetime | None,
    near: tuple[float, float, float] | None,
    box: tuple[float, float, float, float] | None,
    event: Sequence[str] | None,
    keyword: Sequence[str] | None,
    person: Sequence[str] | None,
    rating: int | None,
    written: Sequence[str] | None,
) -> "Scope":
    """The scope that the options describe. Raises QueryError."""
    from photolineage.search.query import QueryError
    from photolineage.search.scope import Scope

    if any(not text.strip() for text in (*(keyword or ()), *(person or ()), *(written or ()))):
        raise QueryError("--keyword, --person and --written: the text is empty. Give a word")
    return Scope(
        tuple(source or ()),
        since,
        before,
        _place(near, box),
        tuple(event or ()),
        tuple(keyword or ()),
        tuple(person or ()),
        rating,
        tuple(written or ()),
    )


def _place(
    near: tuple[float, float, float] | None, box: tuple[float, float, float, float] | None
) -> "Circle | Box | None":
    from photolineage.search.query import QueryError
    from photolineage.stores.vector_index import Box, Circle

    if near is not None and box is not None:
        raise QueryError("--near and --box: give only one of them")
    try:
        return Circle(*near) if near is not None else Box(*box) if box is not None else None
    except ValueError as error:
        raise QueryError(f"{'--near' if near else '--box'}: {error}") from error
