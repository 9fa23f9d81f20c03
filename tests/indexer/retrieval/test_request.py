"""A page of what was found: none of it, some of it, judged or not."""

import numpy as np
import pytest

from indexer.releases.index_reader import Found
from indexer.retrieval.request import Outcome, Retrieved, SearchRequest, Timings
from indexer.retrieval.search_batch import EncodedQuery
from scenes.relevance import Relevance

FITTED = Relevance(intercept=-2.0, score=4.0, gap=3.0, floor=0.5)
QUERY = EncodedQuery(np.ones(2, np.float32), truncated=False)


def page(
    scores: list[float], request: SearchRequest, relevance: Relevance | None, reranked: int | None = None
) -> Retrieved:
    found = Found(np.arange(len(scores)), np.array(scores, np.float32))
    outcome = Outcome(found, complete=True, reranked=reranked)
    return Retrieved.of(request, request.page(50), outcome, QUERY, relevance, 0, None, Timings())


@pytest.mark.parametrize("relevance", [FITTED, None])
def test_nothing_found_matches_nothing(relevance: Relevance | None) -> None:
    found = page([], SearchRequest("a cat", 10), relevance)
    assert (list(found.rows), list(found.probabilities), found.matches, found.has_more) == ([], [], False, False)


def test_a_page_has_its_own_scores_and_probabilities() -> None:
    scores = [0.9, 0.8, 0.7, 0.6]
    whole = page(scores, SearchRequest("a cat", 4), FITTED)
    second = page(scores, SearchRequest("a cat", 2, offset=2), FITTED)
    assert list(second.probabilities) == list(whole.probabilities[2:])
    assert (list(second.rows), second.has_more) == ([2, 3], False)
    assert page(scores, SearchRequest("a cat", 2), FITTED).has_more


def test_scores_of_fields_and_of_a_re_ranker_are_not_judged() -> None:
    poor = [0.1, 0.09]
    assert not page(poor, SearchRequest("a cat", 2), FITTED).matches
    for found in (
        page(poor, SearchRequest("a cat", 2, fields=("objects",)), FITTED),
        page(poor, SearchRequest("a cat", 2), FITTED, reranked=2),
    ):
        assert (found.matches, set(found.probabilities)) == (True, {None})
