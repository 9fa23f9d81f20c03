"""Micro-batches: each request gets its own result, batches form under load, the queue is bounded, a failure is told."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from indexer.encoding.micro_batch import MAX_BATCH, MicroBatcher
from scenes.errors import Overloaded


class Held:
    """Work that waits until it is let go, and notes each batch; the result of a text is its length."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[int] = []

    def __call__(self, texts: Sequence[str]) -> list[int]:
        self.batches.append(len(texts))
        self.go.wait(10)
        if "fail" in texts:
            raise ValueError("no")
        return [len(text) for text in texts]


async def start(batcher: MicroBatcher[str, int], texts: Sequence[str]) -> "list[asyncio.Task[object]]":
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(batcher.do(text)) for text in texts]
    await asyncio.sleep(0.05)
    return tasks


async def test_what_gathers_while_the_runner_is_busy_shares_a_batch() -> None:
    encoder, texts = Held(), ["x" * i for i in range(1 + MAX_BATCH + 3)]
    batcher = MicroBatcher(encoder, runners=1)
    first = await start(batcher, texts[:1])
    rest = await start(batcher, texts[1:])
    encoder.go.set()
    found = await asyncio.gather(*first, *rest)
    batcher.close()
    assert encoder.batches == [1, MAX_BATCH, 3]
    assert found == list(range(len(texts)))


async def test_a_full_queue_refuses_and_a_cancelled_request_takes_no_place_in_a_batch() -> None:
    encoder = Held()
    batcher = MicroBatcher(encoder, runners=1, waiting=2)
    tasks = await start(batcher, ["a", "b", "c"])
    with pytest.raises(Overloaded):
        await batcher.do("d")
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


async def test_in_a_batch_that_fails_only_those_fail_that_must() -> None:
    encoder = Held()
    batcher = MicroBatcher(encoder, runners=1)
    tasks = [*await start(batcher, ["first"]), *await start(batcher, ["a", "fail", "bc"])]
    encoder.go.set()
    *_, a, failed, bc = await asyncio.gather(*tasks, return_exceptions=True)
    batcher.close()
    assert encoder.batches == [1, 3, 1, 1, 1]
    assert (a, type(failed), bc) == (1, ValueError, 2)


async def test_who_waits_for_others_is_served_though_nobody_comes() -> None:
    encoder = Held()
    encoder.go.set()
    batcher = crowded(encoder)
    found = await asyncio.wait_for(batcher.do("a"), 5)
    batcher.close()
    assert found == 1
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
    task = asyncio.create_task(batcher.do("a"))
    await asyncio.sleep(0)
    batcher.close()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


def crowded(encoder: Held) -> MicroBatcher[str, int]:
    """A batcher that has seen many requests at once a moment ago."""
    batcher: MicroBatcher[str, int] = MicroBatcher(encoder, runners=2)
    for _ in range(200):
        batcher._patience.came(16)
    batcher._patience.ended(0.02)
    return batcher
