"""What a search of some fields reads: current descriptions, which of them say words, and their vectors."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Text, and_, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from scenes.catalog.bulk import is_one_of
from scenes.catalog.connection import ReadSession
from scenes.catalog.embeddings import LITTLE_ENDIAN_FLOAT32, Embedding
from scenes.catalog.lexical import PARSER, planned, words
from scenes.catalog.tables import descriptions, embeddings, images
from scenes.description import SceneDescription
from scenes.fields import TEXTS
from scenes.recipe import EncoderRecipe

LOOKED_AT = 3_000
"""So many descriptions that say one of the words anywhere are looked at, at most, for those that say it in a field."""
_STEM = re.compile(r"[^\W_]+")
_BY_INDEX = {"max_parallel_workers_per_gather": "0"} | dict.fromkeys(
    ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "off"
)
"""The index of words, then each image by its row in the order of the table: the first that are found stay the same."""


async def first_rows(session: ReadSession, collection_id: int, limit: int) -> NDArray[np.int64]:
    """Rows of a collection's images, int64 (n,), ascending, at most `limit`."""
    found = select(images.c.id).where(images.c.collection_id == collection_id).order_by(images.c.id).limit(limit)
    return np.array([row for (row,) in await session.execute(found)], np.int64)


async def described(session: ReadSession, collection_id: int, rows: Sequence[int]) -> dict[int, int]:
    """The row of each image by the id of its current description, in the order given; who is gone is left out."""
    found = select(images.c.id, images.c.description_id).where(
        images.c.collection_id == collection_id, is_one_of(images.c.id, rows), images.c.description_id.is_not(None)
    )
    current = {one.id: one.description_id for one in await session.execute(found)}
    return {current[row]: row for row in rows if row in current}


async def saying(
    session: ReadSession, collection_id: int, stems: Sequence[str], fields: Sequence[str], limit: int
) -> list[int]:
    """Rows of images whose descriptions say, in these fields, a word that begins with one of the stems.

    Those that say most of it come first. Where a description is all text, its text is looked at, whatever the fields:
    what it says in them is read from there. It may well say the word elsewhere, so these and the others come in turn.
    Of more than `LOOKED_AT` descriptions that say such a word anywhere, only so many are looked at, so that a common
    word costs no more than that.
    """
    wanted = " | ".join(f"{stem}:*" for stem in stems if _STEM.fullmatch(stem))
    if not wanted:
        return []
    asked = func.to_tsquery(PARSER, wanted)
    anywhere = (
        select(descriptions.c.id, descriptions.c.image, descriptions.c.body)
        .where(words(descriptions.c.body).op("@@", is_comparison=True)(asked))
        .offset(0)  # keeps Postgres from looking through all texts of the collection instead
        .subquery()
    )
    mine = (
        select(images.c.id, anywhere.c.body)
        .join(anywhere, (anywhere.c.image == images.c.id) & (anywhere.c.id == images.c.description_id))
        .where(images.c.collection_id == collection_id)
        .limit(LOOKED_AT)
        .cte("mine")
        .prefix_with("MATERIALIZED")
    )
    there = (
        select(mine.c.id, words(cast(_looked_in(mine.c.body, fields), JSONB)).label("words"), _is_text(mine.c.body))
        .cte("there")
        .prefix_with("MATERIALIZED")
    )
    rank = func.ts_rank(there.c.words, asked).desc()
    place = func.row_number().over(partition_by=there.c.is_text, order_by=(rank, there.c.id)).label("place")
    found = (
        select(there.c.id, there.c.is_text, place).where(there.c.words.op("@@", is_comparison=True)(asked)).subquery()
    )
    best = select(found.c.id).order_by(found.c.place, found.c.is_text, found.c.id).limit(limit)
    async with planned(session, **_BY_INDEX):
        return [row for (row,) in await session.execute(best)]


async def bodies(session: ReadSession, ids: Sequence[int]) -> dict[int, SceneDescription]:
    """Descriptions by their ids."""
    found = select(descriptions.c.id, descriptions.c.body).where(is_one_of(descriptions.c.id, ids))
    return {row.id: SceneDescription.model_validate(row.body) for row in await session.execute(found)}


async def vectors(session: ReadSession, encoder: EncoderRecipe, ids: Sequence[int]) -> dict[int, Embedding]:
    """What stands for whole descriptions under an encoder, by their ids; who has none yet is left out."""
    size = encoder.views * encoder.dimensions * LITTLE_ENDIAN_FLOAT32.itemsize
    found = select(embeddings).where(
        is_one_of(embeddings.c.description_id, ids),
        embeddings.c.encoder == encoder.fingerprint(),
        func.octet_length(embeddings.c.vectors) == literal(size),
    )
    return {row.description_id: _embedding(row, encoder) for row in await session.execute(found)}


async def embedded(session: ReadSession, encoder: str, ids: Sequence[int]) -> set[int]:
    """Which of these descriptions have vectors under an encoder recipe."""
    found = select(embeddings.c.description_id).where(
        is_one_of(embeddings.c.description_id, ids), embeddings.c.encoder == encoder
    )
    return set((await session.execute(found)).scalars())


def _embedding(row: Any, encoder: EncoderRecipe) -> Embedding:
    whole = np.frombuffer(row.vectors, LITTLE_ENDIAN_FLOAT32).astype(np.float32)
    words = np.frombuffer(row.words, np.int8).reshape(-1, max(1, encoder.word_dimensions))
    return Embedding(whole.reshape(encoder.views, encoder.dimensions), words, row.truncated)


def _is_text(body: ColumnElement[Any]) -> ColumnElement[bool]:
    """Has a description nothing but texts?"""
    return (body.op("-")(cast(list(TEXTS), ARRAY(Text))) == cast({}, JSONB)).label("is_text")


def _looked_in(body: ColumnElement[Any], fields: Sequence[str]) -> ColumnElement[Any]:
    """A JSON array of what a description says in these fields, or of all its text where it has nothing else; of text
    to be read, only where it quotes some."""
    own = func.jsonb_build_array(*(body[name] for name in fields))
    if set(fields) <= set(TEXTS):
        return own
    says = _is_text(body)
    if set(fields) == {"visible_text"}:
        says = and_(says, func.concat(*(body[name].astext for name in TEXTS)).op("~", is_comparison=True)('["“]'))
    return case((says, func.jsonb_build_array(*(body[name] for name in TEXTS))), else_=own)
