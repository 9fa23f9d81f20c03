"""SQL and the reference in Python agree on every filter and every document."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql

from scenes.catalog import collections, filter_sql, publishing
from scenes.catalog import images as images_
from scenes.catalog.connection import Catalog
from scenes.catalog.lexical import planned
from scenes.catalog.publishing import Publication
from scenes.catalog.tables import descriptions, images
from scenes.collection import Collection
from scenes.description import SceneDescription, SceneObject
from scenes.errors import BadInput
from scenes.filtering import parse
from scenes.identity import external_image_id
from tests.scenes.filter_reference import matches

pytestmark = pytest.mark.postgres

KEYS = ["a", "b", 'q"\\uote', "ключ"]
scalars = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.0, 2.0, 0.1, 1e23, 10**23, 1e-7, 10**17 + 1]),
    st.sampled_from(["", "x", "X", "é", "z\u0301", "\U0001f600", "\uffff", '"', "\\", "\n"]),
    st.booleans(),
    st.none(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=6,
)
documents = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, values))
objects = st.lists(
    st.builds(
        SceneObject,
        name=st.sampled_from(["dog", "cat"]),
        count=st.one_of(st.none(), st.integers(1, 3)),
        attributes=st.lists(st.sampled_from(["red", "small"]), max_size=2).map(tuple),
    ),
    max_size=3,
).map(tuple)
texts = st.lists(st.sampled_from(["Open", "24", "hours", "red", "dog", "a"]), min_size=1, max_size=5)
sentences = texts.map(", ".join)
described = st.builds(
    SceneDescription,
    detail=st.one_of(st.sampled_from(["x", "y"]), sentences),
    objects=objects,
    visible_text=st.lists(sentences, max_size=3).map(tuple),
)
says = st.tuples(
    st.sampled_from(
        [
            "description",
            "description.detail",
            "description.visible_text",
            "description.objects",
            "description.objects.name",
            "description.style",
        ]
    ),
    st.one_of(texts.map(lambda words: {"says": " ".join(words).lower()}), st.just({"not": {"says": "dog"}})),
)
paths = st.one_of(
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(lambda steps: ".".join(["metadata", *steps])),
    st.sampled_from(
        ["description.objects.name", "description.objects.count", "description.objects.attributes", "description.style"]
    ),
)
ordered = scalars.filter(lambda value: value is not None and not isinstance(value, bool))
tests = st.one_of(
    scalars,
    st.lists(scalars, min_size=1, max_size=3).map(lambda some: {"in": some}),
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), ordered, min_size=1, max_size=2),
)
compared = st.tuples(paths, st.one_of(tests, tests.map(lambda test: {"not": test})))
conditions = st.one_of(compared, says.filter(lambda one: one[0] != "description" or "says" in one[1])).map(
    lambda one: dict([one])
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def runner(postgres_server: str) -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def shared(postgres_server: str, runner: asyncio.Runner) -> Iterator[Catalog]:
    """One catalog for all examples: each makes a collection of its own and deletes it."""
    catalog = Catalog.connect(postgres_server)
    yield catalog
    runner.run(catalog.close())


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(documents, described), min_size=1, max_size=8), st.lists(filters, min_size=1, max_size=12))
@example([({"b": [[0]]}, SceneDescription(detail="x"))], [{"metadata.b": 0}, {"metadata.b": {"gte": 0}}])
@example(
    [
        ({}, SceneDescription(detail="x", visible_text=("Open: 24 hours",))),
        ({}, SceneDescription(detail="Open", visible_text=("24", "hours"))),
        ({}, SceneDescription(detail="open 24-hours, red")),
    ],
    [{where: {"says": "OPEN 24 hours"}} for where in ("description", "description.visible_text")],
)
@example(
    [({"b": [[None]]}, SceneDescription(detail="x")), ({"b": [None]}, SceneDescription(detail="x"))],
    [{"metadata.b": None}],
)
def test_sql_and_the_reference_agree(
    shared: Catalog, runner: asyncio.Runner, rows: list[tuple[Any, Any]], asked: list[Any]
) -> None:
    runner.run(agree(shared, rows, asked))


async def agree(catalog: Catalog, rows: list[tuple[Any, Any]], asked: list[Any]) -> None:
    publications = [
        Publication(external_image_id(str(i)), "external", description, "import", str(i), metadata=metadata)
        for i, (metadata, description) in enumerate(rows)
    ]
    async with catalog.writing() as session:
        collection = await collections.create(session, Collection(name="filters"))
        await publishing.publish(session, collection.id, publications)
        stored = await session.execute(
            select(images.c.id, images.c.metadata, descriptions.c.body)
            .join(descriptions, descriptions.c.id == images.c.description_id)
            .where(images.c.collection_id == collection.id)
        )
        documents = {row.id: {"metadata": row.metadata, "description": row.body} for row in stored}
        for body in asked:
            parsed = parse(json.loads(json.dumps(body)))
            found = await filter_sql.passing(session, collection.id, parsed)
            right = sorted(row for row, document in documents.items() if matches(parsed, document))
            assert found.tolist() == right, body
        await collections.delete(session, "filters")


async def test_postgres_plans_as_before_after_a_search_of_words(catalog: Catalog) -> None:
    asked = select(func.current_setting("enable_seqscan"), func.current_setting("max_parallel_workers_per_gather"))
    async with catalog.reading() as session:
        before = (await session.execute(asked)).one()
        async with planned(session, enable_seqscan="off", max_parallel_workers_per_gather="0"):
            assert (await session.execute(asked)).one() == ("off", "0")
        assert (await session.execute(asked)).one() == before == ("on", "2")


async def test_the_lexical_index_answers_and_is_as_fresh_as_the_catalog(catalog: Catalog) -> None:
    def sign(i: int, said: str) -> Publication:
        body = SceneDescription(detail="A shop.", visible_text=(said,))
        return Publication(external_image_id(str(i)), "external", body, "import", said)

    asked = parse({"description.visible_text": {"says": "open 24 hours"}})
    async with catalog.writing() as session:
        row = await collections.create(session, Collection(name="c"))
        await publishing.publish(session, row.id, [sign(i, f"closed {i}") for i in range(50)])
        await publishing.publish(session, row.id, [sign(50, "Open 24 hours"), sign(51, "OPEN, 24 HOURS!")])
        assert len(await filter_sql.passing(session, row.id, asked)) == 2
        await publishing.publish(session, row.id, [sign(50, "closed")])
        assert await images_.delete(session, row.id, [external_image_id("51")]) == 1
        assert len(await filter_sql.passing(session, row.id, asked)) == 0
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        found = select(descriptions.c.id).where(filter_sql._condition(parse({"description": {"says": "open"}})))
        words = found.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        plan = "\n".join(line for (line,) in await session.execute(text(f"EXPLAIN {words}".replace(":", "\\:"))))
        assert "ix_descriptions_words" in plan


@pytest.mark.parametrize(
    "body",
    [
        {"metadata.a": {"says": "x"}},
        {"description.detail": {"says": "?!"}},
        {"description.detail": {"says": 1}},
        {"description": "x"},
        {"description.detail": {"says": "x", "gt": "a"}},
    ],
)
def test_says_takes_words_of_a_description(body: Any) -> None:
    with pytest.raises(BadInput):
        parse(body)
