"""REST, the command line, explanations and evaluation rank by one code: same images, same scores to the last bit."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import app.cli.search as command
from app.settings import Settings
from indexer.encoding.encoder import Encoder
from indexer.encoding.serving import load_encoder
from indexer.evaluation.gallery import Gallery
from indexer.releases.refresh import refresh
from indexer.retrieval.ranking import Ranking
from indexer.structure.structure import told
from scenes.answer import Query
from scenes.catalog import publishing
from scenes.catalog.collections import get
from scenes.catalog.connection import Catalog
from scenes.catalog.publishing import Publication
from scenes.description import Relation, SceneDescription, SceneObject
from scenes.identity import external_image_id
from tests.app.live import Live, live

pytestmark = [pytest.mark.postgres, pytest.mark.http, pytest.mark.encoder]
COLOURS, THINGS, PLACES = ("red", "blue", "old", "small"), ("bus", "dog", "boat", "lamp", "horse"), ("table", "tree")
K = 10
Found = list[tuple[str, float]]
"""External ids with their scores, best first."""


def scene(number: int) -> SceneDescription:
    colour, thing, place = COLOURS[number % 4], THINGS[number % 5], PLACES[number % 2]
    return SceneDescription(
        detail=f"Number {number} shows {thing} and {place} in the {'snow' if number % 3 else 'sun'}.",
        objects=(SceneObject(name=thing, colour=colour), SceneObject(name=place)),
        relations=(Relation(subject=thing, predicate="near", object=place),),
    )


SCENES = {str(number): scene(number) for number in range(40)}
QUERIES = [
    f"{a} {colour} {thing} {how} a {place}"
    for a, how in (("a", "near"), ("one", "behind"))
    for colour in COLOURS
    for thing in THINGS
    for place in PLACES
][:50]
FILTER = {"metadata.n": {"lt": 25}}
FIELDS = ("objects", "relations")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(None, tmp_path_factory.mktemp("home"))


async def fill(database_url: str, home: Path, encoder: Encoder) -> None:
    catalog = Catalog.connect(database_url.replace("postgresql://", "postgresql+psycopg://"))
    rows = [
        Publication(external_image_id(one), "external", told, "import", one, external_id=one, metadata={"n": int(one)})
        for one, told in SCENES.items()
    ]
    async with catalog.writing() as session:
        await publishing.publish(session, (await get(session, "pets")).id, rows)
    await refresh(catalog, "pets", encoder, home)
    await catalog.close()


def by_gallery(encoder: Encoder, among: dict[str, SceneDescription]) -> list[Found]:
    names = list(among)
    gallery = Gallery.of(list(among.values()), encoder, Ranking())
    found = gallery.search(QUERIES, K)
    return [[(names[row], score) for row, score in zip(one.rows, one.scores.tolist(), strict=True)] for one in found]


async def by_command(database_url: str, home: Path, asked: Sequence[Query]) -> list[Found]:
    config = Settings.model_validate({"WORDSIGHT_HOME": home, "DATABASE_URL": database_url})
    catalog = Catalog.connect(database_url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        answers = [(await command._search(catalog, config, "pets", one, None))[0] for one in asked]
    finally:
        await catalog.close()
    return [[(match.external_id or "", match.score) for match in answer.results] for answer in answers]


def by_rest(server: Live, asked: Sequence[dict[str, Any]]) -> list[Found]:
    with server.client(server.key("*", "search")) as client:
        answers = [client.post("/v1/collections/pets/search", json=one).json() for one in asked]
    return [[(match["external_id"], match["score"]) for match in answer["results"]] for answer in answers]


def explained(server: Live, query: str, found: Found, fields: Sequence[str] | None) -> Found:
    """The scores that explanations give for the images found, in the order of their ranks."""
    with server.client(server.key("*", "search")) as client:
        bodies = [
            {"query": query, "image_id": external_image_id(one)} | ({"fields": fields} if fields else {})
            for one, _ in found
        ]
        why = [client.post("/v1/collections/pets/search/explain", json=body).json() for body in bodies]
    ranks = sorted(zip((one["rank"] for one in why), found, why, strict=True), key=lambda each: each[0])
    return [(named, told["score"]) for _, (named, _), told in ranks]


def test_the_same_queries_find_the_same_images_with_the_same_scores(
    database_url: str, home: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[[str | None], Encoder] = lambda _name: encoder  # noqa: E731 - both take it
    monkeypatch.setattr(command, "load_encoder", load)
    passing = {one: told for one, told in SCENES.items() if int(one) < 25}
    parts = {one: told(description, FIELDS) for one, description in SCENES.items()}
    with live(database_url, home, "pets", load=load, per_key=10_000) as server:
        asyncio.run(fill(database_url, home, encoder))
        for more, among in (({}, SCENES), ({"filter": FILTER}, passing), ({"fields": FIELDS}, parts)):
            bodies: list[dict[str, Any]] = [{"query": query, "k": K, **more} for query in QUERIES]
            rest = by_rest(server, bodies)
            assert all(len(found) == K for found in rest)
            assert rest == asyncio.run(by_command(database_url, home, [Query.model_validate(one) for one in bodies]))
            assert rest == by_gallery(encoder, among)
            if "filter" not in more:  # an explanation knows no filter
                for query, found in zip(QUERIES, rest, strict=True):
                    assert explained(server, query, found, more.get("fields")) == found
