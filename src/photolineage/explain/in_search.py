"""Why a search finds a photo, or not: its rank, its score, the filters, and the approximate index."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row

from photolineage.catalog.queries import ModelRow, find_model
from photolineage.explain.by_model import is_in_index
from photolineage.explain.findings import YES, Finding, moment
from photolineage.search.find import encoders_of
from photolineage.search.query import Query, query_vector
from photolineage.search.scope import EVERYTHING, Scope
from photolineage.settings import Settings
from photolineage.stores.vector_index import SearchFilters, VectorIndex, VectorIndexError, VectorIndexes

PAGE: Final = 10
MOST_HITS: Final = 1_000
"""How many hits of the approximate index are looked through."""
STAGE: Final = "search"


@dataclass(frozen=True, slots=True)
class Question:
    """A search in which the photo should be, or should not be."""

    query: Query
    scope: Scope = EVERYTHING


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where a search finds a photo. Scores are cosines with the query.

    `rank`, `score` and `page_score` come from the exact search: the rank of the photo, or of its stack, the photo's
    score, and the score of the last hit on the first page. `index_rank` is its rank among the hits of the usual search,
    None if it is not among them. The filters count only if `dropped_by` is empty: the names of those that leave the
    photo out.
    """

    rank: int
    score: float
    page_score: float
    index_rank: int | None
    dropped_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Search:
    """A query on the index of a model, and the image that it is asked about."""

    index: VectorIndex
    vector: NDArray[np.float32]
    image: Row[Any]

    def admits(self, filters: SearchFilters) -> bool:
        only = filters.only(self.image.id)
        return bool(self.index.search(self.vector, 1, filters=only, effort="exact"))

    def ranking(self, filters: SearchFilters, dropped_by: tuple[str, ...]) -> Ranking | None:
        exact = self.index.exact_rank(self.vector, self.image.id, filters=filters)
        if exact is None:
            return None
        first_page = self.index.search(self.vector, PAGE, filters=filters, effort="exact")
        looked_through = min(max(PAGE, 2 * exact.rank), MOST_HITS)
        hits = self.index.search(self.vector, looked_through, filters=filters)
        shown_id = self.image.stack_of_id or self.image.id
        found = [hit.shown_id for hit in hits]
        return Ranking(
            rank=exact.rank,
            score=exact.score,
            page_score=first_page[-1].score,
            index_rank=found.index(shown_id) + 1 if shown_id in found else None,
            dropped_by=dropped_by,
        )


def search_findings(
    connection: Connection, settings: Settings, image: Row[Any], model_key: str, question: Question
) -> tuple[list[Finding], Ranking | None]:
    """Rows about the search, and the figures in them; no figures if the image is not in the model's index.

    `image` is not a copy. Loads the model only if the image is in the index. Raises QueryError, and what loading a
    model raises.
    """
    model = find_model(connection, model_key)
    is_known, why_not = _is_searchable(settings, model, image)
    filters = (
        {name: one.filters(connection, model.id) for name, one in question.scope.limits().items()}
        if model
        else {}
    )
    if model is None or not is_known:
        return [Finding(STAGE, "not found", why_not, "See the rows above.")], None
    index = VectorIndexes(settings.home).open(model_key, model.embedding_dim)
    vector, notes = query_vector(
        index, encoders_of(settings, model), question.query, settings.prompt_templates_of(model_key)
    )
    search = _Search(index, vector, image)
    dropped_by = tuple(name for name, one in filters.items() if not search.admits(one))
    scope = EVERYTHING if dropped_by else question.scope
    ranking = search.ranking(scope.filters(connection, model.id), dropped_by)
    findings = [Finding("note", "", note) for note in notes]
    findings += [_filter_finding(name, name in dropped_by, image) for name in filters]
    if ranking is not None:
        findings += ranking_findings(ranking, model_key, is_exact=index.describe().ann_kind is None)
    return findings, ranking


def _is_searchable(settings: Settings, model: ModelRow | None, image: Row[Any]) -> tuple[bool, str]:
    """Whether the model's index has the image, and if not, why not."""
    if model is None:
        return False, "the model has not embedded anything yet"
    try:
        return is_in_index(settings, model, image.id), f"the index of {model.key} does not have this image"
    except VectorIndexError as error:
        return False, str(error)


def _filter_finding(name: str, is_dropped: bool, image: Row[Any]) -> Finding:
    where = (
        "no place is known"
        if image.latitude is None
        else f"taken at {image.latitude:.5f} {image.longitude:.5f}"
    )
    facts = {
        "source": f"the photo and its copies are in other sources than these; it is in {image.source}",
        "since": f"the photo was taken {moment(image.taken_at)}",
        "before": f"the photo was taken {moment(image.taken_at)}",
        "place": where,
        "event": "the photo is in none of these events",
        "keyword": "neither the photo nor a copy has one of these keywords",
        "person": "nobody named one of these people in the photo or in a copy",
        "rating": "neither the photo nor a copy has so many stars",
        "written": "nobody wrote one of these texts about the photo or a copy",
    }
    if not is_dropped:
        return Finding(f"filter: {name}", YES, "it lets the photo through")
    return Finding(
        f"filter: {name}",
        "drops it",
        facts[name],
        "Leave out or widen this filter. The ranks below are without filters.",
    )


def ranking_findings(ranking: Ranking, model_key: str, *, is_exact: bool) -> Iterator[Finding]:
    """The rows about a ranking. `is_exact`: the model has no approximate index, so every search is exact."""
    page = -(-ranking.rank // PAGE)
    is_first = page == 1
    verdict = "on the first page" if is_first else f"on page {page:,} of {PAGE} hits each"
    yield Finding(
        f"{STAGE} with {model_key}",
        f"rank {ranking.rank:,}",
        f"{verdict}. It scores {ranking.score:.4f}; the last hit of the first page scores {ranking.page_score:.4f}",
        ""
        if is_first
        else f"See it with `photolineage search … --page {page}`, or describe the photo otherwise.",
    )
    stage = f"answer of the index of {model_key}"
    exact = f"the exact search ranks it {ranking.rank:,}"
    if is_exact:
        yield Finding(stage, "exact", "the index is small: each search compares every image")
    elif ranking.index_rank is not None:
        yield Finding(stage, f"rank {ranking.index_rank:,}", exact)
    elif ranking.rank > MOST_HITS:
        yield Finding(stage, "not compared", f"{exact}; only the first {MOST_HITS:,} hits are compared")
    else:
        yield Finding(
            stage,
            "left out",
            f"{exact}, but the approximate index does not return it",
            "Launch the job maintain_indexes: it trains an index again that has outgrown its training.",
        )
