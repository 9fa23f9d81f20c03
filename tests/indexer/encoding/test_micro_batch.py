"""Micro-batches: all get their own vector, batches form under load, the queue is bounded, a failure is told."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from indexer.encoding.encoder import Encoded
from indexer.encoding.micro_batch import MAX_BATCH, EncodedQuery, MicroBatcher, RememberingEncoder, itself
from scenes.errors import Overloaded
from tests.indexer.letters import BagOfLetters


class Held(BagOfLetters):
    """Waits until it is let go, and notes each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.batches: list[int] = []

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        self.batches.append(len(texts))
        self.go.wait(10)
        if "fail" in texts:
            raise ValueError("no")
        return super().encode_queries(texts)


async def start(batcher: MicroBatcher, texts: Sequence[str]) -> "list[asyncio.Task[object]]":
    tasks: list[asyncio.Task[object]] = [
        asyncio.create_task(batcher.encode_then(t, itself, remember=False)) for t in texts
    ]
    await asyncio.sleep(0.05)
    return tasks


async def test_what_gathers_while_the_runner_is_busy_shares_a_batch() -> None:
    encoder, texts = Held(), [f"text {chr(97 + i % 26)}" for i in range(1 + MAX_BATCH + 3)]
    batcher = MicroBatcher(encoder, runners=1)
    first = await start(batcher, texts[:1])
    rest = await start(batcher, texts[1:])
    encoder.go.set()
    found = await asyncio.gather(*first, *rest)
    batcher.close()
    assert encoder.batches == [1, MAX_BATCH, 3]
    expected = BagOfLetters().encode_queries(texts).vectors
    assert np.array_equal(np.stack([one.vector for one in found]), expected)


async def test_a_full_queue_refuses_and_a_cancelled_request_takes_no_place_in_a_batch() -> None:
    encoder = Held()
    batcher = MicroBatcher(encoder, runners=1, waiting=2)
    tasks = await start(batcher, ["a", "b", "c"])
    with pytest.raises(Overloaded):
        await batcher.encode_then("d", itself, remember=False)
    tasks[1].cancel()
    encoder.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    batcher.close()
    assert encoder.batches == [1, 1]


async def test_a_failed_batch_fails_its_own_requests_only() -> None:
    encoder = Held()
    batcher = MicroBatcher(encoder, runners=1)
    tasks = [*await start(batcher, ["fail"]), *await start(batcher, ["fine"])]
    encoder.go.set()
    failed, fine = await asyncio.gather(*tasks, return_exceptions=True)
    batcher.close()
    assert isinstance(failed, ValueError)
    assert not isinstance(fine, BaseException)


async def test_vectors_are_remembered_only_where_allowed() -> None:
    encoder, hits = Held(), []
    encoder.go.set()
    batcher = MicroBatcher(encoder, runners=1)
    remembering = RememberingEncoder(batcher, size=2, hit=hits.append)
    for query in ("a", "a", "b", "c", "a"):
        await remembering.encode_then(query, itself, remember=True)
    assert hits == [False, True, False, False, False]
    await remembering.encode_then("a", itself, remember=False)
    batcher.close()
    assert len(encoder.batches) == 5
    assert {len(name) for name in remembering._known} == {32}


async def test_what_is_done_with_a_vector_fails_alone() -> None:
    encoder = Held()
    encoder.go.set()
    remembering = RememberingEncoder(MicroBatcher(encoder, runners=1))
    asked = [remembering.encode_then("a", fail, remember=True), remembering.encode_then("b", itself, remember=True)]
    failed, fine = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(failed, KeyError)
    assert not isinstance(fine, BaseException)
    with pytest.raises(KeyError):
        await remembering.encode_then("b", fail, remember=True)


def fail(_encoded: object) -> list[None]:
    raise KeyError("mine")


async def test_what_is_wanted_of_a_batch_is_done_once_and_who_makes_it_fail_fails_alone() -> None:
    encoder, seen = Held(), []

    def letters(encoded: Sequence[EncodedQuery]) -> list[float]:
        seen.append(len(encoded))
        sums = [float(one.vector.argmax()) for one in encoded]
        if 2.0 in sums:
            raise KeyError("b")
        return sums

    batcher = MicroBatcher(encoder, runners=1)
    first = await start(batcher, ["first"])
    plain = [asyncio.create_task(batcher.encode_then("d", itself, remember=False))]
    rest = [asyncio.create_task(batcher.encode_then(text, letters, remember=False)) for text in ("a", "b", "c")]
    await asyncio.sleep(0.05)
    encoder.go.set()
    *_, a, b, c = await asyncio.gather(*first, *plain, *rest, return_exceptions=True)
    batcher.close()
    assert encoder.batches == [1, 4]
    assert seen == [3, 1, 1, 1]
    assert (a, type(b), c) == (1.0, KeyError, 3.0)


async def test_who_waits_for_others_is_served_though_nobody_comes() -> None:
    encoder = Held()
    encoder.go.set()
    batcher = crowded(encoder)
    found = await asyncio.wait_for(batcher.encode_then("a", itself, remember=False), 5)
    batcher.close()
    assert found.vector.any()
    assert encoder.batches == [1]


async def test_a_share_that_is_there_starts_at_once_and_the_rest_waits_for_its_own() -> None:
    encoder = Held()
    batcher = crowded(encoder)
    tasks = await start(batcher, [f"text {chr(97 + i)}" for i in range(10)])
    encoder.go.set()
    await asyncio.gather(*tasks)
    batcher.close()
    assert encoder.batches[0] > 1
    assert sum(encoder.batches) == 10


async def test_closing_leaves_nobody_waiting() -> None:
    batcher = crowded(Held())
    task = asyncio.create_task(batcher.encode_then("a", itself, remember=False))
    await asyncio.sleep(0)
    batcher.close()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


def crowded(encoder: Held) -> MicroBatcher:
    """A batcher that has seen many requests at once a moment ago."""
    batcher = MicroBatcher(encoder, runners=2)
    for _ in range(200):
        batcher._patience.came(16)
    batcher._patience.ended(0.02)
    return batcher
