"""A search of fields answers as a collection would whose descriptions held those fields alone."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from app.http.security import Secret
from app.search.service import DirectLog, SearchService, make_service
from indexer.encoding.encoder import Encoded, Encoder
from indexer.encoding.serving import load_encoder
from indexer.evaluation.comparison import answers
from indexer.releases.refresh import refresh
from indexer.retrieval.fields import FieldBounds, FieldSearch
from indexer.retrieval.ranking import Ranking
from scenes.answer import Answer, Query
from scenes.catalog import collections, field_search, images, publishing
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication
from scenes.collection import Collection
from scenes.description import Relation, SceneDescription, SceneObject
from scenes.errors import BadInput
from scenes.fields import part
from scenes.identity import external_image_id
from tests.indexer.letters import BagOfLetters

pytestmark = [pytest.mark.postgres, pytest.mark.faiss]
NAMES = ("dog", "bus", "table", "boat", "clock", "horse")
COLOURS = ("red", "blue", "green")
FIELDS = ("objects", "relations")


class Counting(BagOfLetters):
    """Counts the texts that it embeds."""

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> Encoded:
        self.embedded += texts
        return self.encode_queries(texts)


def scene(number: int) -> SceneDescription:
    """The objects of one number are never those of another; what else is said misleads."""
    name, other = list(itertools.permutations(NAMES, 2))[number % 30]
    misleading = f"A {COLOURS[number // 30]} {NAMES[number % 6]} stands beside a {NAMES[(number + 3) % 6]}."
    if number % 5 == 0:
        return SceneDescription(summary=misleading, absent=(name,))
    things = (SceneObject(name=name, colour=COLOURS[number % 3]), SceneObject(name=other, count=number + 2))
    relations = (Relation(subject=name, predicate="behind", object=other),)
    return SceneDescription(summary=misleading, detail=misleading * 3, objects=things, relations=relations)


async def publish(catalog: Catalog, name: str, described: dict[str, SceneDescription]) -> None:
    rows = [
        Publication(external_image_id(one), "external", told, "import", one, external_id=one, metadata={"n": int(one)})
        for one, told in described.items()
    ]
    async with catalog.writing() as session:
        row = await collections.ensure(session, Collection(name=name))
        await publishing.publish(session, row.id, rows)


@asynccontextmanager
async def serving(catalog: Catalog, home: Path, encoder: Encoder, bounds: FieldBounds) -> AsyncIterator[SearchService]:
    service = make_service(catalog, lambda _name: encoder, home, Secret(b"s" * 32), DirectLog(catalog))
    service.retriever.fields = FieldSearch(catalog, Ranking(), bounds)
    try:
        yield service
    finally:
        service.close()


def found(answer: Answer) -> list[str | None]:
    return [one.external_id for one in answer.results]


@pytest.mark.encoder
@pytest.mark.parametrize("query", ["a red dog behind a table", "boat", "3 horses"])
async def test_it_answers_as_a_collection_of_those_fields(catalog: Catalog, home: Path, query: str) -> None:
    encoder = load_encoder(None, home)
    scenes = {str(n): scene(n) for n in range(40)}
    alone = {n: part(one, FIELDS) for n, one in scenes.items() if one.objects}
    await publish(catalog, "whole", scenes)
    await publish(catalog, "alone", alone)
    await refresh(catalog, "alone", encoder, home)
    await refresh(catalog, "whole", encoder, home)
    async with serving(catalog, home, encoder, FieldBounds()) as service:
        asked = await service.search("whole", Query(query=query, k=50, fields=FIELDS))
        meant = await service.search("alone", Query(query=query, k=50))
        plain = await service.search("whole", Query(query=query, k=50))
        assert found(asked) == found(meant) != found(plain)
        assert np.allclose([one.score for one in asked.results], [one.score for one in meant.results], atol=2e-3)
        assert (asked.exists, asked.matches, asked.next_cursor) == (len(alone), "some", None)
        assert {one.probability for one in asked.results} == {None}
        told = {evidence.field.split("/")[1] for one in asked.results for evidence in one.evidence or ()}
        assert told <= set(FIELDS)
        collection = await service.collections.get("whole")
        direct = await answers(catalog, service.retriever, collection, None, [query], 50)
        assert found(plain) == [external for _, external in direct[0]]


async def test_pages_filters_and_edits(catalog: Catalog, home: Path) -> None:
    encoder = Counting()
    await publish(catalog, "c", {str(n): scene(n) for n in range(40)})
    await refresh(catalog, "c", encoder, home)
    async with serving(catalog, home, encoder, FieldBounds()) as service:
        asked = Query(query="a red dog", k=7, fields=FIELDS)
        first = await service.search("c", asked)
        encoder.embedded.clear()
        pages, cursor = found(first), first.next_cursor
        while cursor:
            page = await service.search("c", asked.model_copy(update={"cursor": cursor}))
            pages, cursor = pages + found(page), page.next_cursor
        assert sorted(pages, key=str) == sorted((str(n) for n in range(40) if n % 5), key=str)
        assert encoder.embedded == []
        whole = await service.search("c", asked.model_copy(update={"k": 50}))
        assert found(whole) == pages
        with pytest.raises(BadInput, match="fields"):
            await service.search("c", asked.model_copy(update={"cursor": first.next_cursor, "fields": ("objects",)}))
        some = await service.search("c", asked.model_copy(update={"k": 50, "filter": {"metadata.n": {"lt": 20}}}))
        assert found(some) == [one for one in pages if int(one or 0) < 20]
        assert some.exists == 16
        async with catalog.writing() as session:
            collection = await collections.get(session, "c")
            new = SceneDescription(summary="A boat.", objects=(SceneObject(name="a red dog"),))
            await images.edit(session, collection.id, external_image_id("7"), new)
            await images.delete(session, collection.id, [external_image_id("8")])
        service.collections.forget("c")
        after = found(await service.search("c", asked.model_copy(update={"k": 50})))
        assert after[0] == "7"
        assert sorted(after, key=str) == sorted((one for one in pages if one != "8"), key=str)
        gone = await service.search("c", Query(query="a boat", fields=("medium",)))
        assert (gone.results, gone.matches, gone.exists) == ((), "none", 0)
        absent = await service.search("c", Query(query="boat", fields=("absent",)))
        assert absent.exists == 8
        assert absent.results[0].evidence is not None
        assert absent.results[0].evidence[0].field == "/absent/0"


async def test_among_many_images_only_candidates_are_looked_at(catalog: Catalog, home: Path) -> None:
    encoder = Counting()
    others = {str(n): SceneDescription(detail=f"stops on streets {n}", visible_text=("qqq",)) for n in range(30)}
    sign = SceneDescription(detail="xyz", visible_text=("Stopping place", "Wall Street"))
    await publish(catalog, "c", others | {"91": sign})
    await refresh(catalog, "c", encoder, home)
    encoder.embedded.clear()
    async with serving(catalog, home, encoder, FieldBounds(listed=10, near=3)) as service:
        asked = Query(query="stops on streets", fields=("visible_text",))
        answer = await service.search("c", asked)
        assert answer.exists is None
        assert found(answer)[0] == "91"
        assert len(answer.results) == 4
        assert len(encoder.embedded) == 2, "equal texts are embedded once"
        only = await service.search("c", asked.model_copy(update={"filter": {"metadata.n": {"gte": 5}}}))
        assert found(only)[0] == "91"
        none = await service.search("c", asked.model_copy(update={"filter": {"metadata.n": {"lt": 20}}}))
        assert "91" not in found(none)
        assert len(none.results) == 3
    async with serving(catalog, home, encoder, FieldBounds(near=3, work=100, near_work=85)) as service:
        assert (await service.search("c", asked)).exists is None


async def test_a_text_alone_has_its_vectors_already(catalog: Catalog, home: Path) -> None:
    encoder = Counting()
    texts = {str(n): SceneDescription(detail=f"A {name} stands.") for n, name in enumerate(NAMES)}
    await publish(catalog, "c", texts)
    await refresh(catalog, "c", encoder, home)
    encoder.embedded.clear()
    async with serving(catalog, home, encoder, FieldBounds(work=0)) as service:
        asked = await service.search("c", Query(query="a boat", fields=("detail", "objects")))
        plain = await service.search("c", Query(query="a boat"))
    assert [(one.external_id, one.score) for one in asked.results] == [
        (one.external_id, one.score) for one in plain.results
    ]
    assert asked.exists == len(NAMES)
    assert encoder.embedded == []


TOLD = {
    "1": "A red car and a blue house. There are no trees.",
    "2": "A blue car and a red house.",
    "3": "A man in a green hat holds a dog, and a horse stands by the table.",
    "4": "It is late.",
}


async def test_a_plain_text_answers_for_its_objects(catalog: Catalog, home: Path) -> None:
    encoder = Counting()
    stated = SceneDescription(summary="A red car.", objects=(SceneObject(name="boat"),))
    await publish(catalog, "c", {n: SceneDescription(detail=text) for n, text in TOLD.items()} | {"5": stated})
    await refresh(catalog, "c", encoder, home)
    encoder.embedded.clear()
    async with serving(catalog, home, encoder, FieldBounds()) as service:
        answer = await service.search("c", Query(query="a red car", fields=("objects",)))
        assert sorted(found(answer), key=str) == ["1", "2", "3", "5"], "what says nothing there is no result"
        assert set(encoder.embedded) == {
            "red car, blue house.",
            "blue car, red house.",
            "man, green hat, dog, horse, table.",
            "boat.",
        }
        told = {one.external_id: one.evidence or () for one in answer.results}
        assert [(one.field, one.phrase) for one in told["1"]] == [("/objects/0", "red car")]
        assert told["5"] == (), "stated structure is never read anew"
        assert next(one for one in answer.results if one.external_id == "1").description.objects == ()
        absent = await service.search("c", Query(query="trees", fields=("absent",)))
        assert found(absent) == ["1"]
        holding = await service.search("c", Query(query="a man holds a dog", fields=("relations", "actions")))
        assert found(holding)[0] == "3"
        plain = await service.search("c", Query(query="a red car"))
        assert len(plain.results) == 5


@pytest.mark.encoder
async def test_a_colour_is_bound_to_its_own_object(catalog: Catalog, home: Path) -> None:
    encoder = load_encoder(None, home)
    await publish(catalog, "c", {n: SceneDescription(detail=text) for n, text in TOLD.items()})
    await refresh(catalog, "c", encoder, home)
    async with serving(catalog, home, encoder, FieldBounds()) as service:
        for query, right in (("a red car", "1"), ("a red house", "2"), ("a blue house", "1"), ("a blue car", "2")):
            answer = await service.search("c", Query(query=query, fields=("objects",)))
            assert found(answer)[0] == right, query
            best = (answer.results[0].evidence or ())[0]
            assert (best.field.split("/")[1], best.phrase) == ("objects", query.removeprefix("a "))


async def test_among_many_images_words_are_looked_for_in_plain_texts(catalog: Catalog, home: Path) -> None:
    encoder = Counting()
    others = {str(n): SceneDescription(detail=f"stripes of sand {n}", medium="stripes") for n in range(30)}
    dressed = SceneDescription(detail="xyz qqq. A woman without stripes wears stripes")
    mixed = SceneDescription(detail="stripes", objects=(SceneObject(name="boat"),))
    await publish(catalog, "c", others | {"91": dressed, "92": mixed})
    await refresh(catalog, "c", encoder, home)
    async with serving(catalog, home, encoder, FieldBounds(listed=10, near=2)) as service:
        answer = await service.search("c", Query(query="stripes of sand", fields=("people", "absent")))
        assert found(answer) == ["91"], "neither is its text near nor has it a field that says so"
    async with catalog.reading() as session:
        collection = await collections.get(session, "c")
        for fields, rows in ((("objects",), 1), (("detail", "objects"), 32), (("detail",), 32), (("medium",), 31)):
            said = await field_search.saying(session, collection.id, ["stripe"], fields, 50)
            assert len(said) == rows, fields


async def test_texts_that_say_the_words_elsewhere_crowd_nobody_out(catalog: Catalog) -> None:
    buses = [f"A bus stops at stop {n} near another bus stop." for n in range(20)]
    plates = [f'A bus "{n}" stops at a stop.' for n in range(10)]
    texts = {str(n): SceneDescription(detail=text) for n, text in enumerate([*buses, *plates])}
    sign = SceneDescription(summary="A sign.", visible_text=("a long text that says STOP",))
    thing = SceneDescription(summary="A street.", objects=(SceneObject(name="a sign that says stop"),))
    await publish(catalog, "c", texts | {"91": sign, "92": thing, "93": SceneDescription(detail="It says “stop”.")})
    async with catalog.reading() as session:
        collection = await collections.get(session, "c")

        async def said(fields: Sequence[str], limit: int) -> list[str | None]:
            rows = await field_search.saying(session, collection.id, ["stop"], fields, limit)
            views = await images.by_rows(session, collection.id, rows)
            return [views[row].external_id for row in rows]

        assert (await said(("visible_text",), 50))[0] == "91", "a stated one is the first, its kind in turn with texts"
        everyone = await said(("visible_text",), 50)
        assert sorted(everyone, key=str) == sorted([str(n) for n in range(20, 30)] + ["91", "93"], key=str)
        assert (await said(("visible_text",), 3)) == everyone[:3]
        objects = await said(("objects",), 5)
        assert objects[0] == "92"
        assert "91" not in objects
        assert len(objects) == 5
        assert len(await said(("objects",), 50)) == 32
