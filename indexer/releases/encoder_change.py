"""Another encoder for a collection without a moment in which nothing answers.

Its vectors and a release of them are made beside what answers; then both are switched to in one transaction, under
which nothing is published, so that no description is without a vector on either side of it. Going back is the same.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from indexer.encoding.embedding import BATCH, Failures, Tick, embed, embed_missing
from indexer.encoding.encoder import Encoder
from indexer.releases.release import build
from indexer.releases.tuning_queries import likely
from scenes.catalog import collections, embeddings, releases
from scenes.catalog.collections import CollectionRow
from scenes.catalog.connection import Catalog, WriteSession
from scenes.catalog.releases import Release
from scenes.errors import BadInput, Conflict, NotFound


@dataclass(frozen=True, slots=True)
class Standing:
    """Which releases a collection has, for whoever wants to change its encoder."""

    collection: CollectionRow
    active: Release | None
    previous: Release | None
    candidate: Release | None

    def expected_candidate(self) -> Release:
        """Raises `NotFound` (`candidate_missing`)."""
        if self.candidate is None:
            fix = "wordsight index build --beside --encoder NAME"
            raise NotFound("candidate_missing", "no release of another encoder stands beside", fix=fix)
        return self.candidate


async def standing(catalog: Catalog, name: str) -> Standing:
    """Raises `NotFound` (`collection_unknown`)."""
    async with catalog.reading() as session:
        row = await collections.get(session, name)
        named = (row.active_release, row.previous_release, row.candidate_release)
        return Standing(row, *[await releases.get(session, one) if one else None for one in named])


async def prepare(
    catalog: Catalog,
    name: str,
    encoder_name: str | None,
    encoder: Encoder,
    home: Path,
    tick: Tick = lambda _done, _total: None,
) -> Release:
    """Embed a collection with another encoder and build a release beside the one that answers.

    Stopped anywhere, it goes on where it was when called again; an earlier candidate is gone from the beginning.
    Raises `BadInput` (`encoder_answers_already`), and as `build` does.
    """
    async with catalog.writing() as turn:
        row = await collections.get(turn, name)
        await collections.hold_for_change(turn, row.id)
        active = await releases.active(turn, row.id)
        if active is not None and active.encoder == encoder.recipe.fingerprint():
            raise BadInput("encoder_answers_already", "this encoder answers the collection already")
        async with catalog.writing() as session:
            await releases.propose(session, row.id, None)
        await embed_missing(catalog, row.id, encoder, tick, seen=False)
        other = replace(row, settings=row.settings.model_copy(update={"encoder": encoder_name}))
        queries = partial(likely, catalog, row.id, encoder)
        return await build(catalog, other, encoder.recipe, home, queries=queries, candidate=True)


async def switch(
    catalog: Catalog,
    collection_id: int,
    release: Release,
    encoder: Encoder,
    tick: Tick = lambda _done, _total: None,
) -> int:
    """Let a release and its encoder answer from one moment to the next; returns how many descriptions it lacked.

    Raises `Conflict` (`release_gone`, `encoder_differs`).
    """
    if encoder.recipe.fingerprint() != release.encoder:
        told = f"the encoder {encoder.recipe.model!r} is not the one that the release was built with"
        raise Conflict("encoder_differs", told, fix="build it again: wordsight index build --beside --encoder NAME")
    late, failures = 0, Failures()
    while True:
        late += await embed_missing(catalog, collection_id, encoder, tick, failures=failures)
        async with catalog.writing() as session:
            await collections.hold_for_build(session, collection_id)
            await collections.lock(session, collection_id)
            done = await _embed_last(session, collection_id, encoder, failures)
            if done is not None:
                await _let_answer(session, collection_id, release)
                return late + done


async def forget_others(catalog: Catalog, name: str) -> int:
    """Drop all vectors and releases but the answering encoder's; returns how many descriptions had such vectors.

    There is no way back then but to embed again.
    """
    async with catalog.writing() as session:
        row = await collections.get(session, name)
        await collections.hold_for_change(session, row.id)
        await collections.hold_for_build(session, row.id)
        active = await releases.active(session, row.id)
        if active is None:
            return 0
        previous = await releases.get(session, row.previous_release) if row.previous_release else None
        if previous is not None and previous.encoder != active.encoder:
            await releases.forget_previous(session, row.id)
        await releases.propose(session, row.id, None)
        return await embeddings.drop_others(session, row.id, active.encoder)


async def _embed_last(session: WriteSession, collection_id: int, encoder: Encoder, failures: Failures) -> int | None:
    """Embed what was published a moment ago; None, and nothing done, where that is too much to hold others up for."""
    fingerprint = encoder.recipe.fingerprint()
    todo = await embeddings.missing(session, collection_id, fingerprint, BATCH, skip=failures.ids)
    if len(todo) == BATCH:
        return None
    rows = embed([description for _, description in todo], encoder) if todo else []
    stored = [(number, row) for (number, _), row in zip(todo, rows, strict=True)]
    await embeddings.store(session, collection_id, fingerprint, stored)
    return len(todo)


async def _let_answer(session: WriteSession, collection_id: int, release: Release) -> None:
    row = await collections.by_id(session, collection_id)
    if release.id not in row.releases:
        raise Conflict("release_gone", "another release was built meanwhile", fix="look at: wordsight index status")
    await releases.switch(session, collection_id, release)
    await collections.notify(session, collection_id, row.generation)
