"""The Python client's whole surface against the running server, in ordinary code and in asyncio."""

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from app.client import AsyncWordsight, Refusal, Retries, Unreachable, Wordsight
from tests.app.live import Live, heartbeat, live

STREAMS = {"images", "bulk", "jobs", "follow_job", "audit", "search_all"}
CAT = hashlib.sha256(b"cat").hexdigest()


@pytest.fixture
def server(database_url: str, home: Path) -> Iterator[Live]:
    with live(database_url, home, "pets") as running:
        yield running


async def collected(stream: Any) -> list[Any]:
    return list(stream) if hasattr(stream, "__iter__") else [one async for one in stream]


async def settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


Call = Callable[..., Any]
Surface = set[tuple[str, str]]
"""Methods with the names of what they can be given; without parameters a method stands with an empty name."""


class Caller:
    """Calls a client's methods, and remembers which, and with what."""

    def __init__(self, client: Any) -> None:
        self._client, self.called = client, Surface()

    async def __call__(self, called: str, /, *given: Any, **named: Any) -> Any:
        method = getattr(self._client, called)
        bound = inspect.signature(method).bind(*given, **named)
        self.called |= {(called, one) for one in bound.arguments} or {(called, "")}
        result = method(*given, **named)
        return await (collected(result) if called in STREAMS else settled(result))


async def whole_surface(client: Any, tag: str) -> Surface:
    """Calls everything with everything that it takes; returns what was called with what."""
    call = Caller(client)
    made = await call("create_collection", tag, search_log="full")
    assert made.settings["search_log"] == "full"
    assert (await call("change_collection", tag, search_log="results")).settings["search_log"] == "results"
    assert tag in [one.settings["name"] for one in await call("collections")]
    await images_surface(call, tag)
    await search_surface(call, tag)
    await jobs_surface(call, tag)
    await keys_surface(call, tag)
    await call("delete_image", tag, CAT)
    with pytest.raises(Refusal) as told:
        await call("image", tag, CAT)
    assert (told.value.status, told.value.code) == (404, "image_unknown")
    await call("delete_collection", tag)
    return call.called


async def images_surface(call: Call, tag: str) -> None:
    lines = [{"id": str(i), "text": f"picture {i}"} for i in range(1_500)]
    results = await call("bulk", tag, [*lines, {"id": "bad"}])
    assert [(one.stored, one.rejected) for one in results] == [(1_000, 0), (500, 1)]
    counted = await call("collection", tag)
    assert (counted.images, counted.pending) == (1_500, 1_500)
    assert len(await call("images", tag, page_size=700)) == 1_500
    first = await call("put_image", tag, CAT, {"summary": "A cat."}, metadata={"year": 2020})
    edited = await call("edit", tag, CAT, {"summary": "Two cats."}, description_id=first.description_id)
    assert (await call("image", tag, CAT)).description["summary"] == "Two cats."
    assert len(await call("history", tag, CAT)) == 2
    assert (await call("undo", tag, CAT, description_id=edited.description_id)).description["summary"] == "A cat."
    assert (await call("patch_metadata", tag, CAT, {"year": None, "place": "home"})).metadata == {"place": "home"}


async def search_surface(call: Call, tag: str) -> None:
    answer = await call("search", tag, "a cat", k=3)
    rest = await call("search_all", tag, "a cat", page_size=2)
    assert [one.image_id for one in rest][: len(answer.results)] == [one.image_id for one in answer.results]
    home = {"metadata.place": "home"}
    filtered = await call("search", tag, "a cat", k=1, filter=home)
    assert {one.image_id for one in filtered.results} <= {CAT}
    assert {one.image_id for one in await call("search_all", tag, "a cat", filter=home)} <= {CAT}
    with pytest.raises(Refusal) as told:
        await call("search", tag, "a cat", cursor="no")
    assert told.value.code == "cursor_invalid"
    assert (await call("stored_search", tag, answer.search_id)).k == 3
    await call("give_feedback", tag, answer.search_id, CAT, "relevant")
    (cat,) = (await call("search", tag, "a cat", k=3, fields=["summary"])).results
    assert cat.image_id == CAT
    assert [one.image_id for one in await call("search_all", tag, "a cat", fields=["summary"])] == [CAT]
    assert (await call("explain", tag, "a cat", CAT, fields=["summary"])).rank == 1
    batch = await call("search_batch", tag, [{"query": "a"}, {"query": "b", "cursor": "no"}])
    assert [one.code is None for one in batch] == [True, False]
    assert (await call("explain", tag, "a cat", CAT)).image_id == CAT


async def keys_surface(call: Call, tag: str) -> None:
    key = await call("create_key", tag, "search", name="a reader", expires_in_days=2)
    assert (await call("rotate_key", key.key_id)).key != key.key
    assert {key.key_id: "a reader"}.items() <= {one.key_id: one.name for one in await call("keys")}.items()
    await call("revoke_key", key.key_id)


async def jobs_surface(call: Call, tag: str) -> None:
    started = await call("start_job", "index", tag)
    assert (await call("job", started.job_id)).state == "queued"
    assert [one.job_id for one in await call("jobs", tag, page_size=1)] == [started.job_id]
    assert (await call("cancel_job", started.job_id)).is_over
    assert [one.state for one in await call("follow_job", started.job_id)] == ["cancelled"]
    await call("change_collection", tag, engine="basic")
    sent = await call("upload", tag, b"an image", uri="file:///cat.png")
    assert (sent.kind, sent.image_id, sent.source) == (
        "upload", hashlib.sha256(b"an image").hexdigest(), "file:///cat.png",
    )  # fmt: skip
    assert [one.job_id for one in await call("jobs", tag, page_size=1)] == [sent.job_id, started.job_id]
    actions = [one.action for one in await call("audit", tag, page_size=2)]
    assert actions[0] == "collection.create"
    assert actions[-1] == "job.upload"
    assert [one.job_id for one in await call("jobs", tag, state="cancelled")] == [started.job_id]
    assert await call("audit", tag, key_id="key_nobody") == []
    with pytest.raises(Refusal) as told:
        await call("start_job", "ingest", tag, "/not/allowed")
    assert told.value.code == "source_not_allowed"


def public(kind: type) -> Surface:
    """All that a client can do, with all that it can be given."""
    found = Surface()
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") and name != "close":
            takes = [one for one in inspect.signature(method).parameters if one != "self"]
            found |= {(name, one) for one in takes} or {(name, "")}
    return found


@pytest.mark.postgres
@pytest.mark.http
def test_the_whole_surface_runs_against_the_server(server: Live) -> None:
    key = server.key("*", "admin")
    asyncio.run(heartbeat(server.database_url))
    with Wordsight(server.url, key) as client:
        assert asyncio.run(whole_surface(client, "plain")) == public(Wordsight)

    asyncio.run(heartbeat(server.database_url))

    async def run() -> Surface:
        async with AsyncWordsight(server.url, key) as client:
            return await whole_surface(client, "async")

    assert asyncio.run(run()) == public(AsyncWordsight) == public(Wordsight)


def answering(*statuses: int) -> tuple[Wordsight, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        status = statuses[min(len(seen), len(statuses)) - 1]
        if status == 0:
            raise httpx.ConnectError("gone")
        return httpx.Response(status, json={"code": "c", "detail": "d"} if status >= 400 else {"collections": []})

    client = Wordsight("http://test", "key", retries=Retries(attempts=3, first_wait_s=0.001))
    client._http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://test")
    return client, seen


def test_busy_and_lost_answers_are_tried_again_and_refusals_are_not() -> None:
    client, seen = answering(429, 0, 200)
    assert client.collections() == []
    assert len(seen) == 3
    for statuses, error, tries in (((404,), Refusal, 1), ((503,), Refusal, 3), ((0,), Unreachable, 3)):
        client, seen = answering(*statuses)
        with pytest.raises(error):
            client.collections()
        assert len(seen) == tries


def test_what_says_when_to_come_back_is_tried_again() -> None:
    told = httpx.Response(409, headers={"Retry-After": "1"}), httpx.Response(409)
    assert [Retries().wait_s(1, one) for one in told] == [1.0, None]


def test_a_write_that_is_tried_again_carries_the_same_key() -> None:
    client, seen = answering(503, 503, 204)
    client.delete_collection("c")
    assert len({one.headers["idempotency-key"] for one in seen}) == 1
    waits: Callable[[int], float | None] = lambda attempt: Retries().wait_s(attempt, None)  # noqa: E731
    assert [waits(1), waits(2), waits(4)] == [0.2, 0.4, None]


IDS = ("collection", "name", "image_id", "search_id", "job_id", "key_id")
GIVEN: dict[str, Any] = {
    "queries": [], "description": {}, "metadata": {}, "lines": [{"id": "1"}], "image": b"", "description_id": 1,
    "verdict": "relevant", "kind": "index", "scope": "search", "query": "q",
}  # fmt: skip


class Sender:
    """Calls a client's methods with ids that are given and something for all else, against no server."""

    def __init__(self) -> None:
        self.client, self.seen = answering(418)

    def path(self, method: str, ids: dict[str, str]) -> str:
        """The address that is sent first, without what follows a question mark."""
        self.seen.clear()
        takes = inspect.signature(getattr(self.client, method)).parameters
        needed = [one for one, it in takes.items() if it.default is it.empty and one in GIVEN and one not in ids]
        with pytest.raises(Refusal):
            self._call(method, ids | {one: GIVEN[one] for one in needed})
        return self.seen[0].url.raw_path.partition(b"?")[0].decode()

    def _call(self, method: str, given: dict[str, Any]) -> None:
        result = getattr(self.client, method)(**given)
        list(result if method in STREAMS else ())


def addressed(sender: Sender) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Methods, with each of their ids that is a part of an address, and all of their ids."""
    for method, told in inspect.getmembers(Wordsight, inspect.isfunction):
        ids = {one: f"an-{one}" for one in inspect.signature(told).parameters if one in IDS}
        if ids and not method.startswith("_"):
            sent = sender.path(method, ids)
            yield from ((method, one, ids) for one in ids if f"an-{one}" in sent)


def test_no_id_leads_to_another_address() -> None:
    sender = Sender()
    found = list(addressed(sender))
    assert len(found) > 20
    for method, one, ids in found:
        plain = sender.path(method, ids)
        for hostile in ("a/../..", "a?b=c", "a#b", "%2e%2e", "a\\..", "\x00", "é", "external:shop/1", " "):
            sent = sender.path(method, ids | {one: hostile})
            assert sent.count("/") == plain.count("/"), (method, one, hostile)
            assert unquote(sent) == plain.replace(f"an-{one}", hostile), (method, one, hostile)
        for nothing in ("", ".", ".."):
            with pytest.raises(ValueError, match="names nothing"):
                sender.path(method, ids | {one: nothing})
            assert not sender.seen, (method, one, nothing)


@pytest.mark.postgres
@pytest.mark.http
def test_an_image_that_climbs_deletes_no_collection(server: Live) -> None:
    key = server.key("*", "admin")
    with Wordsight(server.url, key) as client:
        with pytest.raises(ValueError, match=r"'\.\.'"):
            client.delete_image("pets", "..")
        for collection, image in (("pets", "../"), ("pets", "a/../.."), (f"pets/images/{CAT}", "x")):
            with pytest.raises(Refusal) as told:
                client.delete_image(collection, image)
            assert told.value.status in {404, 422}
        client.put_image("pets", CAT, {"summary": "a cat"})
        with pytest.raises(Refusal):
            client.delete_collection(f"pets/images/{CAT}")  # an encoded slash leads to no other endpoint
        assert client.image("pets", CAT).image_id == CAT
        assert client.collection("pets").images == 1
    with server.client(key) as plain:
        for path in ("/v1/collections/pets/", f"/v1/collections/pets%2Fimages%2F{CAT}", "/v1/collections%2fpets"):
            assert plain.delete(path).status_code == 404, path
        assert plain.get("/v1/collections/pets").json()["images"] == 1
