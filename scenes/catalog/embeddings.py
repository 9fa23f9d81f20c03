"""Vectors of descriptions, kept as bytes: little-endian float32, views × dimensions. The index is only their cache."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    Boolean,
    LargeBinary,
    Select,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.bulk import is_one_of
from scenes.catalog.collections import CollectionRow, next_generation
from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import descriptions, embeddings, encoder_recipes, images, releases, tombstones
from scenes.description import SceneDescription
from scenes.recipe import EncoderRecipe
from scenes.weights.registry import encoder_model

_EMBEDS = 0x776F7266
_SERVERS = 0x776F7267
LITTLE_ENDIAN_FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Embedding:
    """What stands for one description: `vectors` float32 (views, dim), `words` int8 (t, word_dim) in steps of 1/127,
    and whether a text was longer than the encoder reads."""

    vectors: NDArray[np.float32]
    words: NDArray[np.int8]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """Images that are stored but not searchable yet: how many, of how many of them the encoder failed on the
    description, and for how many seconds the oldest has waited."""

    count: int = 0
    failed: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Vectored:
    """Images with vectors: `rows` int64 (n,), `vectors` float32 (n, views, dim), `generations` int64 (n,)."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    generations: NDArray[np.int64]


async def missing(
    session: ReadSession,
    collection_id: int,
    encoder: str,
    limit: int,
    *,
    after: int = 0,
    above: int = 0,
    skip: Sequence[int] = (),
) -> list[tuple[int, SceneDescription]]:
    """Current descriptions that have no vectors under an encoder recipe, those behind `after`, in the order of their
    ids: (description id, description). Images at or below the generation `above` and the ids in `skip` are left out."""
    behind = _missing(collection_id, encoder).where(descriptions.c.id > after, images.c.generation > above)
    if skip:
        behind = behind.where(~is_one_of(descriptions.c.id, list(skip)))
    found = behind.with_only_columns(descriptions.c.id, descriptions.c.body)
    rows = await session.execute(found.order_by(descriptions.c.id).limit(limit))
    return [(row.id, SceneDescription.model_validate(row.body)) for row in rows]


async def backlog(
    session: ReadSession,
    collection: CollectionRow,
    encoder: str | None = None,
    *,
    above: int = 0,
    failed: Sequence[int] = (),
) -> Backlog:
    """What of a collection is not searchable yet, among the images above a generation and the `failed` descriptions.

    `encoder` is the fingerprint of its encoder; None where that is not loaded: the active release's counts then, and
    without a release any recipe of the model that the collection names.
    """
    is_failed = is_one_of(descriptions.c.id, list(failed))
    written = func.greatest(descriptions.c.created_at, collection.created_at)  # a restored one keeps its old time
    counted = (
        _missing(collection.id, encoder or _answering(collection))
        .where(or_(images.c.generation > above, is_failed))
        .with_only_columns(
            func.count().label("total"),
            func.count().filter(is_failed).label("failed"),
            func.extract("epoch", func.now() - func.min(written)).label("oldest_s"),
        )
    )
    row = (await session.execute(counted)).one()
    return Backlog(row.total, row.failed, float(row.oldest_s or 0.0))


async def count_beside(session: ReadSession, collection_id: int, encoder: str, above: int, most: int) -> int:
    """How many images above a generation have vectors, counted up to `most`: those that are searched beside a release
    of that generation."""
    there = (
        select(images.c.id)
        .join(embeddings, embeddings.c.description_id == images.c.description_id)
        .where(images.c.collection_id == collection_id, images.c.generation > above, embeddings.c.encoder == encoder)
        .limit(most)
    )
    total: int = (await session.execute(select(func.count()).select_from(there.subquery()))).scalar_one()
    return total


async def hold_for_embedding(session: WriteSession, collection_id: int, encoder: str) -> None:
    """Be the only one who embeds a collection under an encoder until this transaction ends; wait for the turn.

    The next batch of another process may take longer than locks are waited for otherwise.
    """
    before = (await session.execute(text("SELECT current_setting('lock_timeout')"))).scalar_one()
    await session.execute(text("SELECT set_config('lock_timeout', '0', true)"))
    await session.execute(text("SELECT pg_advisory_xact_lock(:space, :key)"), _embedding_lock(collection_id, encoder))
    await session.execute(text("SELECT set_config('lock_timeout', :before, true)"), {"before": before})


async def may_embed(session: WriteSession, collection_id: int, encoder: str) -> bool:
    """The same for one of several servers: False where another process embeds the collection or waits for its turn, or
    where another server embeds any."""
    other = {"space": _SERVERS, "key": 0}
    mine = _embedding_lock(collection_id, encoder)
    for lock in (other, mine):
        held = await session.execute(text("SELECT pg_try_advisory_xact_lock(:space, :key)"), lock)
        if not held.scalar_one():
            return False
    return True


async def some(session: ReadSession, collection_id: int, limit: int) -> list[SceneDescription]:
    """So many current descriptions, spread over the collection, always the same ones while it stays as it is."""
    found = select(descriptions.c.body).join(images, images.c.description_id == descriptions.c.id)
    mixed = found.where(images.c.collection_id == collection_id).order_by(func.hashint8(images.c.id), images.c.id)
    return [SceneDescription.model_validate(body) for (body,) in await session.execute(mixed.limit(limit))]


async def count_missing(session: ReadSession, collection_id: int, encoder: str) -> int:
    counted = _missing(collection_id, encoder).with_only_columns(func.count())
    total: int = (await session.execute(counted)).scalar_one()
    return total


async def store(
    session: WriteSession,
    collection_id: int,
    encoder: str,
    rows: Sequence[tuple[int, Embedding]],
    *,
    seen: bool = True,
) -> None:
    """Keep what stands for descriptions, by their ids. Storing twice changes nothing.

    Opens a generation and stamps the images with it: a release that was built, or a snapshot that was taken, between
    the description and its vectors does not hold them, so they must be above it. What is gone by now is left out.
    Not so where they are not `seen`: those of an encoder that answers only from a release that is built after them.
    """
    if not rows:
        return
    ids = [row_id for row_id, _ in rows]
    arrays = (
        cast(ids, ARRAY(BigInteger)),
        cast([_to_bytes(one.vectors) for _, one in rows], ARRAY(LargeBinary)),
        cast([one.words.tobytes() for _, one in rows], ARRAY(LargeBinary)),
        cast([one.truncated for _, one in rows], ARRAY(Boolean)),
    )
    names = ("description_id", "vectors", "words", "truncated")
    sent = func.unnest(*arrays).table_valued(*names, name="sent").render_derived()
    there = select(*sent.c, literal(encoder)).join(descriptions, descriptions.c.id == sent.c.description_id)
    held = there.with_for_update(read=True, key_share=True, of=descriptions)  # what is being deleted is waited for
    new = upsert(embeddings).from_select([*names, "encoder"], held).on_conflict_do_nothing()
    generation = await next_generation(session, collection_id) if seen else None
    await session.execute(new)
    if generation is not None:
        mine = is_one_of(images.c.description_id, ids)
        await session.execute(update(images).where(mine).values(generation=generation))


async def stream(
    session: ReadSession, collection_id: int, encoder: EncoderRecipe, *, above: int = 0, batch: int = 10_000
) -> AsyncIterator[Vectored]:
    """All images with vectors whose generation is above `above`, ordered by row, in batches.

    Vectors of another size than the encoder's are as good as none; `misshapen` tells them.
    """
    last = 0
    while True:
        found = _vectored(collection_id, encoder, above).where(images.c.id > last).limit(batch)
        rows = (await session.execute(found)).all()
        if not rows:
            return
        yield _as_vectored([tuple(row) for row in rows], encoder.dimensions)
        last = rows[-1].id


async def words(
    session: ReadSession, collection_id: int, encoder: EncoderRecipe, rows: Sequence[int]
) -> dict[int, NDArray[np.int8]]:
    """Word vectors of images by row, int8 (t, word_dim); a row without vectors is left out."""
    found = (
        _current(encoder)
        .join(images, images.c.description_id == embeddings.c.description_id)
        .with_only_columns(images.c.id, embeddings.c.words)
    )
    chosen = found.where(images.c.collection_id == collection_id, is_one_of(images.c.id, list(rows)))
    packed = {row.id: np.frombuffer(row.words, np.int8) for row in await session.execute(chosen)}
    return {row: raw.reshape(-1, max(1, encoder.word_dimensions)) for row, raw in packed.items()}


async def misshapen(session: ReadSession, collection_id: int, encoder: EncoderRecipe) -> list[int]:
    """Rows of images that have vectors of another size than the encoder's."""
    found = (
        select(descriptions.c.image)
        .join(embeddings, embeddings.c.description_id == descriptions.c.id)
        .join(images, images.c.id == descriptions.c.image)
        .where(images.c.collection_id == collection_id, embeddings.c.encoder == encoder.fingerprint())
        .where(func.octet_length(embeddings.c.vectors) != _size(encoder))
    )
    return [row for (row,) in await session.execute(found)]


async def unembedded(session: ReadSession, collection_id: int, encoder: str, *, above: int = 0) -> list[int]:
    """Rows of images whose current description has no vectors under an encoder recipe, those above a generation."""
    found = _missing(collection_id, encoder).where(images.c.generation > above)
    return [row for (row,) in await session.execute(found.with_only_columns(images.c.id))]


async def unsearchable(
    session: ReadSession, collection_id: int, encoder: EncoderRecipe, *, above: int = 0
) -> NDArray[np.int64]:
    """Rows of images above a generation that have no vectors which could answer: int64 (n,), ascending.

    All images of a collection are either among these or in `stream`.
    """
    answers = _current(encoder).where(embeddings.c.description_id == images.c.description_id)
    found = (
        select(images.c.id)
        .where(images.c.collection_id == collection_id, images.c.generation > above, ~answers.exists())
        .order_by(images.c.id)
    )
    return np.array((await session.execute(found)).scalars().all(), np.int64)


async def drop(session: WriteSession, collection_id: int, rows: Sequence[int], encoder: str) -> None:
    """Forget the vectors of these images: they are not found until they are embedded again."""
    if not rows:
        return
    mine = select(descriptions.c.id).where(is_one_of(descriptions.c.image, list(rows)))
    forgotten = delete(embeddings).where(embeddings.c.encoder == encoder, embeddings.c.description_id.in_(mine))
    generation = await next_generation(session, collection_id)
    await session.execute(forgotten)
    await session.execute(update(images).where(is_one_of(images.c.id, list(rows))).values(generation=generation))


async def drop_others(session: WriteSession, collection_id: int, encoder: str) -> int:
    """Forget the vectors of all encoders but one; returns how many were forgotten."""
    mine = (
        select(descriptions.c.id)
        .join(images, images.c.id == descriptions.c.image)
        .where(images.c.collection_id == collection_id)
    )
    others = delete(embeddings).where(embeddings.c.encoder != encoder, embeddings.c.description_id.in_(mine))
    return (await session.execute(others)).rowcount


async def removed_since(session: ReadSession, collection_id: int, generation: int) -> NDArray[np.int64]:
    """Row numbers of images deleted after a generation, int64 (n,)."""
    found = select(tombstones.c.image_row).where(
        tombstones.c.collection_id == collection_id, tombstones.c.generation > generation
    )
    return np.array([row for (row,) in await session.execute(found)], dtype=np.int64)


async def count_since(session: ReadSession, collection_id: int, generation: int) -> int:
    """How many images were changed or deleted after a generation."""
    total = 0
    for table in (images, tombstones):
        counted = select(func.count()).where(table.c.collection_id == collection_id, table.c.generation > generation)
        total += (await session.execute(counted.select_from(table))).scalar_one()
    return total


def _embedding_lock(collection_id: int, encoder: str) -> dict[str, int]:
    digest = hashlib.blake2b(f"{collection_id}:{encoder}".encode(), digest_size=4).digest()
    return {"space": _EMBEDS, "key": int.from_bytes(digest, signed=True)}


def _answering(collection: CollectionRow) -> Select[tuple[str]]:
    """Fingerprints of the encoder that answers a collection, as far as the catalog knows."""
    if collection.active_release is not None:
        return select(releases.c.encoder).where(releases.c.id == collection.active_release)
    model = encoder_model(collection.settings.encoder)
    return select(encoder_recipes.c.fingerprint).where(encoder_recipes.c.body["model"].astext == model)


def _missing(collection_id: int, encoder: str | Select[tuple[str]]) -> Select[Any]:
    fits = embeddings.c.encoder == encoder if isinstance(encoder, str) else embeddings.c.encoder.in_(encoder)
    there = select(embeddings.c.description_id).where(embeddings.c.description_id == descriptions.c.id, fits)
    return (
        select(descriptions.c.id)
        .join(images, images.c.description_id == descriptions.c.id)
        .where(images.c.collection_id == collection_id, ~there.exists())
    )


def _current(encoder: EncoderRecipe) -> Select[Any]:
    """The embeddings that can answer for an image: of its current description, and of the encoder's size.

    The vectors of an earlier description never answer: an edited image is not found by its old text.
    """
    right_size = func.octet_length(embeddings.c.vectors) == _size(encoder)
    return select(embeddings.c.description_id).where(embeddings.c.encoder == encoder.fingerprint(), right_size)


def _vectored(collection_id: int, encoder: EncoderRecipe, above: int) -> Select[Any]:
    return (
        _current(encoder)
        .join(images, images.c.description_id == embeddings.c.description_id)
        .with_only_columns(images.c.id, embeddings.c.vectors, images.c.generation)
        .where(images.c.collection_id == collection_id, images.c.generation > above)
        .order_by(images.c.id)
    )


def _size(encoder: EncoderRecipe) -> int:
    return encoder.views * encoder.dimensions * LITTLE_ENDIAN_FLOAT32.itemsize


def _to_bytes(vectors: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vectors, dtype=LITTLE_ENDIAN_FLOAT32).tobytes()


def _as_vectored(rows: Sequence[tuple[Any, ...]], dimensions: int) -> Vectored:
    raw = b"".join(row[1] for row in rows)
    vectors = np.frombuffer(raw, dtype=LITTLE_ENDIAN_FLOAT32).astype(np.float32)
    return Vectored(
        rows=np.array([row[0] for row in rows], dtype=np.int64),
        vectors=vectors.reshape(len(rows), -1, dimensions),
        generations=np.array([row[2] for row in rows], dtype=np.int64),
    )
