"""`photolineage why`: where a photo stands in the lineage, and why a search finds it or not."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

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
from photolineage.cli.terminal import console, print_json, shown, table
from photolineage.plain_text import printable

if TYPE_CHECKING:
    from photolineage.explain.answer import Explanation
    from photolineage.explain.in_search import Question
    from photolineage.search.scope import Scope


@app.command()
def why(
    photo: Annotated[
        str, typer.Argument(metavar="PATH|ID", help="The path of a photo, or the id of an image.")
    ],
    query: Annotated[
        str | None, typer.Argument(help="What the photo shows, in words: why does a search find it, or not?")
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
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Show where a photo stands and why; with QUERY, why a search finds it or not. Filters are those of the search.

    photolineage why ~/Pictures/2024/kayak.jpg "red kayak" --since 2024-06-01
    """
    from photolineage.explain.answer import explain_photo

    with reported_errors(as_json):
        question = _question(
            query, scope_of(source, since, before, near, box, event, keyword, person, rating, written)
        )
        settings = chosen_settings(as_json)
        engine = open_catalog(settings)
        key = None if model is None else known_model(settings, engine, model)
        explained = explain_photo(
            settings, engine, photo, folder=Path.cwd(), question=question, model_key=key
        )
    if as_json:
        print_json({"photos": explained})
    else:
        for explanation in explained:
            _print_explanation(explanation)


def _question(query: str | None, scope: "Scope") -> "Question | None":
    from photolineage.explain.in_search import Question
    from photolineage.search.query import Query, QueryError, Weighted
    from photolineage.search.scope import EVERYTHING

    if query is not None:
        return Question(Query(texts=(Weighted(query),)), scope)
    if scope != EVERYTHING:
        raise QueryError("filters need a QUERY: give the words of the search after the photo")
    return None


def _print_explanation(explained: "Explanation") -> None:
    rows = [
        (
            finding.stage,
            finding.state,
            Text("\n").join(map(shown, filter(None, (finding.reason, finding.remedy)))),
        )
        for finding in explained.findings
    ]
    console.print(table(printable(explained.path), ["stage", "state", "why, and what to do"], rows))
