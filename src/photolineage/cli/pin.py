"""`photolineage pin`: pin searches that must keep finding a photo, list them with their ranks, and remove them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from photolineage.cli.app import (
    AsJson,
    Model,
    app,
    chosen_settings,
    known_model,
    open_catalog,
    reported_errors,
)
from photolineage.cli.scope_options import (
    BeforeOption,
    BoxOption,
    KeywordOption,
    NearOption,
    PersonOption,
    RatingOption,
    SinceOption,
    SourceOption,
    WrittenOption,
    scope_of,
)
from photolineage.cli.terminal import console, errors, print_json, shown, table

if TYPE_CHECKING:
    from photolineage.pins.judging import Answer, PinReport
    from photolineage.search.query import Query
    from photolineage.search.scope import Scope
    from photolineage.settings import Settings


@app.command()
def pin(
    text: Annotated[
        list[str] | None, typer.Argument(help="What the photo shows, in words. Each argument is one text.")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option("--not", help="What the photo does not show, in words. Repeatable.")
    ] = None,
    image_id: Annotated[
        list[int] | None,
        typer.Option(
            min=1, max=2**63 - 1, help="Find images that resemble this image of the library. Repeatable."
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHOTO",
            help="The photo that the search must find: its id, its path or its content hash. Repeatable.",
        ),
    ] = None,
    within: Annotated[
        int, typer.Option(min=1, max=1000, help="Among how many first hits the photo must be.")
    ] = 10,
    source: SourceOption = None,
    since: SinceOption = None,
    before: BeforeOption = None,
    near: NearOption = None,
    box: BoxOption = None,
    keyword: KeywordOption = None,
    person: PersonOption = None,
    rating: RatingOption = None,
    written: WrittenOption = None,
    remove: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Remove this pin. Repeatable.")
    ] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Pin a search that must keep finding a photo. Without a search, list the pins with their ranks.

    photolineage pin "red kayak" --expect ~/Pictures/2024/kayak.jpg --within 10
    """
    from photolineage.pins.stored import PinError, remove_pins
    from photolineage.search.query import Query, Weighted
    from photolineage.search.scope import EVERYTHING

    with reported_errors(as_json):
        scope = scope_of(source, since, before, near, box, None, keyword, person, rating, written)
        is_search = bool(text or unlike or image_id)
        if bool(expect) != is_search or (remove and is_search) or (scope != EVERYTHING and not is_search):
            raise PinError(
                "give a search and the photo that it must find, such as "
                "`photolineage pin kayak --expect kayak.jpg`; or --remove with the number of a pin; or nothing, to "
                "list the pins"
            )
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        if remove:
            remove_pins(engine, remove)
            if as_json:
                print_json({"removed": remove})
            else:
                console.print("Removed.")
            return
        key = known_model(settings, engine, model)
        query = None
        if is_search:
            query = Query(
                texts=(*map(Weighted, text or ()), *(Weighted(t, -1.0) for t in unlike or ())),
                image_ids=tuple(map(Weighted, image_id or ())),
            )
        report = _report(settings, engine, key, query, scope, expect or [], within)
    if as_json:
        print_json(_as_json(report))
    else:
        _print_report(report)


def _report(
    settings: "Settings",
    engine: Engine,
    model_key: str,
    query: "Query | None",
    scope: "Scope",
    expected: list[str],
    within: int,
) -> "PinReport":
    """The report on the pins of a new search, which are stored if it can be searched for; else on all pins."""
    from dataclasses import replace

    from photolineage.catalog.engine import reading
    from photolineage.pins.judging import judge_pins
    from photolineage.pins.stored import make_pins, store_pins

    if query is None:
        return judge_pins(settings, engine, model_key)
    with reading(engine) as connection:
        new = make_pins(settings, connection, query, scope, expected, within, folder=Path.cwd())
    report = judge_pins(settings, engine, model_key, new)
    stored = store_pins(engine, new)
    return replace(
        report,
        pins=tuple(replace(judged, pin=pin) for judged, pin in zip(report.pins, stored, strict=True)),
    )


def _print_report(report: "PinReport") -> None:
    from photolineage.pins.judging import Verdict
    from photolineage.pins.wording import columns, rows, summary

    if report.pins:
        console.print(table("Pinned searches", columns(report), rows(report)))
    said = summary(report)
    if report.having(Verdict.LOST, Verdict.NOT_FOUND, Verdict.UNCHECKED):
        errors.print(Text.assemble(("Warning:", "bold yellow"), " ", shown(said)), soft_wrap=True)
    else:
        console.print(shown(said), soft_wrap=True)


def _as_json(report: "PinReport") -> dict[str, Any]:
    from photolineage.pins.wording import summary

    def answer(given: "Answer | None") -> dict[str, Any] | None:
        return None if given is None else {"found": given.is_found, "rank": given.rank, "note": given.note}

    return {
        "model": report.model_key,
        "serving_model": report.serving_key or report.model_key,
        "summary": summary(report),
        "pins": [
            {
                "id": judged.pin.id,
                "search": judged.pin.query.in_words(),
                "content_hash": judged.pin.content_hash,
                "image_id": judged.image_id,
                "path": judged.path,
                "within": judged.pin.within,
                "result": judged.verdict,
                "answer": answer(judged.answer),
                "answer_of_serving_model": answer(judged.serving),
            }
            for judged in report.pins
        ],
    }
