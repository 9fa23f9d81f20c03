"""A service with a re-ranker: what it reached comes first, on every page alike, and the answer says how much it was."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.asgi import opened
from app.http.security import Secret
from app.http.telemetry.metrics import Metrics
from app.search.service import SearchService, make_service
from app.settings import Settings
from indexer.encoding.encoder import Encoder
from indexer.encoding.serving import load_encoder
from indexer.releases.refresh import refresh
from indexer.reranking.cross_encoder import FolderReranker
from indexer.reranking.queue import RerankQueue
from indexer.reranking.reranking import Reranking, shown
from scenes.answer import Answer, Query
from scenes.catalog import collections, images, publishing
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import SceneDescription, SceneObject
from scenes.errors import BadInput, Overloaded
from scenes.identity import external_image_id
from scenes.wording import whole_text
from tests.indexer.letters import BagOfLetters
from tests.indexer.reranking.rerankers import SharedWords, tiny_cross_encoder

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
WORDS = ["red", "bus", "snow", "cat", "sofa", "dog", "beach", "blue", "car", "tree", "old", "lamp"]
QUERY = "a red bus and an old tree"


def scene(number: int) -> SceneDescription:
    chosen = np.random.default_rng(number).permutation(WORDS)[: 3 + number % 6]
    return SceneDescription(detail=f"{' '.join(chosen)} {number}.", objects=(SceneObject(name=str(chosen[0])),))


SCENES = {str(number): scene(number) for number in range(70)}


class Timed(SharedWords):
    """Each call takes `costs_s` of a clock that nothing else moves."""

    def __init__(self, costs_s: float = 5.0, name: str = "timed@0") -> None:
        super().__init__(name)
        self.costs_s = costs_s
        self.now = 0.0

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        self.now += self.costs_s
        return super().scores(query, texts)

    def within(self, budget_s: float) -> Reranking:
        return Reranking(self, timedelta(seconds=budget_s), clock=lambda: self.now)


@asynccontextmanager
async def serving(
    catalog: Catalog, home: Path, reranking: Reranking | None, encoder: Encoder | None = None
) -> AsyncIterator[SearchService]:
    service = make_service(
        catalog, lambda _name: encoder or BagOfLetters(), home, Secret(b"s" * 32), reranking=reranking
    )
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
async def filled(catalog: Catalog, home: Path) -> Catalog:
    await publish(catalog)
    await refresh(catalog, "c", BagOfLetters(), home)
    return catalog


async def publish(catalog: Catalog) -> None:
    rows = [
        Publication(external_image_id(one), "external", told, "import", one, external_id=one)
        for one, told in SCENES.items()
    ]
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name="c"))
        await publishing.publish(session, row.id, rows)


def found(answer: Answer) -> list[str]:
    return [one.external_id or "" for one in answer.results]


async def walk(service: SearchService, asked: Query) -> tuple[list[str], list[float], set[int | None]]:
    """All pages put together: images, scores, and what each page says was re-ranked."""
    answer = await service.search("c", asked)
    pages, scores, counts = found(answer), [one.score for one in answer.results], {answer.reranked}
    while answer.next_cursor:
        answer = await service.search("c", asked.model_copy(update={"cursor": answer.next_cursor}))
        pages, scores = pages + found(answer), scores + [one.score for one in answer.results]
        counts.add(answer.reranked)
    return pages, scores, counts


def reranked(plain: list[str], count: int) -> list[str]:
    scores = SharedWords().scores(QUERY, [whole_text(SCENES[one]) for one in plain[:count]])
    return [plain[place] for place in np.argsort(-scores, kind="stable")] + plain[count:]


@pytest.mark.parametrize(("budget_s", "count"), [(1_000, 50), (27, 24)])
async def test_pages_put_together_are_one_order(filled: Catalog, home: Path, budget_s: float, count: int) -> None:
    async with serving(filled, home, None) as service:
        plain, _, none = await walk(service, Query(query=QUERY, k=70))
    timed = Timed()
    async with serving(filled, home, timed.within(budget_s)) as service:
        pages, scores, counts = await walk(service, Query(query=QUERY, k=7))
    assert (none, counts) == ({None}, {count})
    assert pages == reranked(plain, count) != plain
    assert scores == sorted(scores, reverse=True)
    assert [score >= 2 for score in scores] == [True] * count + [False] * (70 - count)
    assert timed.threads == {"re-ranker_0"}


@pytest.mark.parametrize("later_s", [0.0, 19.0])
async def test_a_further_page_reaches_as_far_as_the_first(filled: Catalog, home: Path, later_s: float) -> None:
    timed = Timed()
    asked = Query(query=QUERY, k=10)
    async with serving(filled, home, timed.within(16)) as service:
        first = await service.search("c", asked)
        timed.costs_s = later_s
        second = await service.search("c", asked.model_copy(update={"cursor": first.next_cursor}))
        assert (first.reranked, second.reranked) == (16, 16)
        assert set(found(first)).isdisjoint(found(second))
        assert [one.score >= 2 for one in second.results] == [True] * 6 + [False] * 4


async def test_a_further_page_that_takes_too_long_is_refused_and_not_ordered_otherwise(
    filled: Catalog, home: Path
) -> None:
    timed = Timed()
    asked = Query(query=QUERY, k=10)
    async with serving(filled, home, timed.within(16)) as service:
        cursor = (await service.search("c", asked)).next_cursor
        timed.costs_s = 1_000.0
        with pytest.raises(Overloaded, match="wait to be re-ranked"):
            await service.search("c", asked.model_copy(update={"cursor": cursor}))


async def test_a_cursor_is_good_for_its_own_re_ranker(filled: Catalog, home: Path) -> None:
    asked = Query(query=QUERY, k=10)
    async with serving(filled, home, Reranking(SharedWords("one@0"))) as service:
        cursor = (await service.search("c", asked)).next_cursor
    for other in (None, Reranking(SharedWords("two@0"))):
        async with serving(filled, home, other) as service:
            with pytest.raises(BadInput, match="re-ranker"):
                await service.search("c", asked.model_copy(update={"cursor": cursor}))
            plain = (await service.search("c", asked)).next_cursor
    async with serving(filled, home, Reranking(SharedWords("one@0"))) as service:
        with pytest.raises(BadInput, match="cursor"):
            await service.search("c", asked.model_copy(update={"cursor": plain}))


async def test_fields_are_re_ranked_by_what_they_say(filled: Catalog, home: Path) -> None:
    fake = SharedWords()
    async with serving(filled, home, Reranking(fake)) as service:
        answer = await service.search("c", Query(query=QUERY, k=70, fields=("objects",)))
    assert answer.reranked == len(fake.asked) == 50
    assert set(fake.asked) <= {f"{word}." for word in WORDS}
    names = [one.description.objects[0].name in QUERY.split() for one in answer.results[:50]]
    assert names == sorted(names, reverse=True)


class Blocking(SharedWords):
    """Scores nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__("blocking@0")
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        self.begun.set()
        assert self.go.wait(20)
        return super().scores(query, texts)


async def test_a_full_queue_answers_in_the_order_there_was(filled: Catalog, home: Path) -> None:
    blocking, asked = Blocking(), Query(query=QUERY, k=10)
    async with serving(filled, home, Reranking(blocking)) as service:
        assert service.retriever.reranks is not None
        service.retriever.reranks.close()
        service.retriever.reranks = RerankQueue(Reranking(blocking), filled, most=1)
        first = await service.search("c", asked)
        further = asked.model_copy(update={"cursor": first.next_cursor})
        blocking.begun.clear()
        blocking.go.clear()
        waiting = asyncio.create_task(service.search("c", asked))
        try:
            assert await asyncio.to_thread(blocking.begun.wait, 20)
            at_once = await service.search("c", asked)
            with pytest.raises(Overloaded, match="re-ranked"):
                await service.search("c", further)
        finally:
            blocking.go.set()
        assert (at_once.reranked, (await waiting).reranked, first.reranked) == (0, 50, 50)
        assert found(at_once) != found(first) == found(await waiting)
        assert (await service.search("c", further)).reranked == 50


async def test_a_search_waits_no_longer_for_its_turn_than_its_budget(filled: Catalog, home: Path) -> None:
    blocking, asked = Blocking(), Query(query=QUERY, k=10)
    async with serving(filled, home, Reranking(blocking, timedelta(seconds=1))) as service:
        await service.search("c", asked)
        blocking.begun.clear()
        blocking.go.clear()
        first = asyncio.create_task(service.search("c", asked))
        try:
            assert await asyncio.to_thread(blocking.begun.wait, 20)
            second = await asyncio.wait_for(service.search("c", asked), 10)
        finally:
            blocking.go.set()
        assert (second.reranked, (await first).reranked) == (0, 4)


@pytest.mark.encoder
async def test_a_real_one_decides_and_no_probability_is_told(catalog: Catalog, home: Path, tmp_path: Path) -> None:
    encoder, folder = load_encoder(None, home), tiny_cross_encoder(tmp_path / "mine")
    await publish(catalog)
    await refresh(catalog, "c", encoder, home)
    real, asked = FolderReranker.load(folder), Query(query=QUERY, k=50)
    async with serving(catalog, home, None, encoder) as service:
        plain = await service.search("c", asked)
    async with serving(catalog, home, Reranking(real), encoder) as service:
        reply = await service.reply("c", asked)
        async with catalog.writing() as session:
            row = await collections.get(session, "c")
            await images.delete(session, row.id, [external_image_id(found(reply.answer())[0])])
        service.collections.forget("c")
        fewer = await service.search("c", asked)
    answer = reply.answer()
    assert json.loads(reply.written()) == json.loads(answer.model_dump_json())
    assert (sorted(found(answer)), answer.reranked, plain.reranked) == (sorted(found(plain)), 50, None)
    meant = {one: float(shown(real.scores(QUERY, [whole_text(SCENES[one])]))[0]) for one in found(plain)}
    assert [one.score for one in answer.results] == pytest.approx(sorted(meant.values(), reverse=True), abs=1e-4)
    assert max(abs(one.score - meant[one.external_id or ""]) for one in answer.results) < 1e-4
    assert found(answer) != found(plain)
    assert {one.probability for one in answer.results} == {None}
    assert None not in {one.probability for one in plain.results}
    assert (found(answer)[0] in found(fewer), fewer.reranked) == (False, 50)


@pytest.mark.encoder
@pytest.mark.http
async def test_a_server_has_it_before_it_is_ready(database_url: str, home: Path, tmp_path: Path) -> None:
    folder = tiny_cross_encoder(tmp_path / "mine")
    named = {"WORDSIGHT_HOME": home, "DATABASE_URL": database_url, "WORDSIGHT_RERANKER": folder}
    async with opened(Settings.model_validate(named | {"WORDSIGHT_RERANK_BUDGET": "30"}), Metrics()) as state:
        assert (state.service.retriever.reranker or "").startswith("mine@")
        await publish(state.catalog)
        await refresh(state.catalog, "c", load_encoder(None, home), home)
        answer = await state.service.search("c", Query(query=QUERY))
        assert (answer.reranked, min(one.score for one in answer.results) >= 2) == (50, True)
    with pytest.raises(BadInput, match="no folder"):
        async with opened(Settings.model_validate(named | {"WORDSIGHT_RERANKER": tmp_path / "none"}), Metrics()):
            pass


async def test_fields_of_a_plain_text_are_re_ranked_by_what_is_read_from_it(catalog: Catalog, home: Path) -> None:
    fake, plain = SharedWords(), SceneDescription(detail="A red car stands beside a blue house.")
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name="plain"))
        image = Publication(external_image_id("1"), "external", plain, "import", "1", external_id="1")
        await publishing.publish(session, row.id, [image])
    await refresh(catalog, "plain", BagOfLetters(), home)
    async with serving(catalog, home, Reranking(fake)) as service:
        await service.search("plain", Query(query=QUERY, fields=("objects",)))
    assert fake.asked == ["red car, blue house."]
