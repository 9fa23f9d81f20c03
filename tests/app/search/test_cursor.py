"""Pages put together are the answer: nothing twice, nothing left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.search.cursor import FURTHEST, Start, next_cursor, start_of
from indexer.encoding.encoder import Words
from indexer.releases.index_reader import Found
from indexer.retrieval.page import Page
from indexer.retrieval.ranking import Ranking
from indexer.tokens.late_interaction import Packed, Said, pack
from scenes.answer import Query
from scenes.errors import BadInput

ASKED = "a red bus"


def collection(size: int) -> tuple[Found, Words, dict[int, Packed]]:
    """Every image that the index would find, in its order, with its words."""
    random = np.random.default_rng(size)
    words = {row: pack(random.normal(size=(3, 4)).astype(np.float32) / 3) for row in range(size)}
    scores = np.sort(random.random(size).astype(np.float32))[::-1]
    return Found(np.arange(size), scores), random.normal(size=(2, 4)).astype(np.float32), words


def walk(size: int, k: int, ranking: Ranking) -> list[list[int]]:
    found, query, words = collection(size)
    pages, asked = [], Query(query=ASKED, k=k)
    while True:
        start = start_of(asked)
        page = Page(start.offset, k, ranking.candidates(k))
        candidates = found.first(page.candidates)
        (ranked,) = page.ranked_each(ranking, [candidates], [query], Said.at(words, candidates.rows))
        pages.append(page.of(ranked).rows.tolist())
        if page.is_last(len(ranked.rows)):
            return pages
        cursor = next_cursor(asked, start)
        asked = Query(query=ASKED, k=k, cursor=cursor)


@given(st.integers(0, 130), st.integers(1, 60))
def test_pages_hold_every_image_once(size: int, k: int) -> None:
    pages = walk(size, k, Ranking(depth=20))
    assert sorted(row for page in pages for row in page) == list(range(size))
    assert all(len(page) == k for page in pages[:-2])


@given(st.integers(1, 120), st.integers(1, 25))
def test_the_first_page_is_what_a_search_without_pages_shows(size: int, k: int) -> None:
    ranking = Ranking(depth=20)
    found, query, words = collection(size)
    candidates = found.first(ranking.candidates(k))
    plain = ranking.ranked(candidates, query, Said.at(words, candidates.rows)).first(k)
    assert walk(size, k, ranking)[0] == plain.rows.tolist()


def test_a_cursor_leads_no_further_than_promised() -> None:
    asked = Query(query=ASKED, k=1_000)
    assert next_cursor(asked, Start(FURTHEST - 2_000)) is not None
    assert next_cursor(asked, Start(FURTHEST - 1_000)) is None


@pytest.mark.parametrize("changed", [{"query": "another"}, {"k": 3}, {"filter": {"metadata.a": 1}}])
def test_a_cursor_of_another_question_is_refused(changed: dict[str, object]) -> None:
    cursor = next_cursor(Query(query=ASKED, k=2), Start())
    with pytest.raises(BadInput, match="another query"):
        start_of(Query.model_validate({"query": ASKED, "k": 2, "cursor": cursor} | changed))


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="cursor"):
        start_of(Query.model_construct(query=ASKED, k=2, cursor=text, filter=None))
