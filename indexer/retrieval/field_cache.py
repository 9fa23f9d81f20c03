"""Parts of descriptions as they are embedded when a search of some fields first meets them, and kept a while.

What a part says never changes (another description has another id), so nothing here can be out of date. A plain text
says in other fields what is read from it (`indexer/structure/`).
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from indexer.encoding.embedding import embed
from indexer.encoding.encoder import Encoder
from indexer.structure.structure import told
from scenes.catalog import field_search
from scenes.catalog.connection import Catalog
from scenes.catalog.embeddings import Embedding
from scenes.description import SceneDescription
from scenes.errors import Overloaded
from scenes.fields import part, said

_MOST_BYTES = 96 * 1024 * 1024
_MOST_WAITING = 64
_BATCH = 32
_CALL_WORK = 60
"""What embedding one more text costs beside its length, in characters."""
_THING_BYTES = 2_000
"""What an object, somebody or a relation takes in memory."""
_NOTHING = part(SceneDescription(detail="."), ())
_Name = tuple[str, tuple[str, ...], int]
"""Encoder, fields and description."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a description says in some fields; `embedding` is None where it says nothing or was not embedded yet.

    `work` is what embedding it takes, or took, here: its characters and `_CALL_WORK`; 0 where there is nothing to do.
    `description` is there to be embedded, empty where nothing is left to do.
    """

    text: str
    work: int
    embedding: Embedding | None = None
    description: SceneDescription = _NOTHING


Parts = dict[int, Part]
"""By the ids of their descriptions, in the order in which they are wanted."""


class FieldCache:
    """Reads and embeds parts, one batch after the other, and keeps the newest up to `most_bytes`."""

    def __init__(self, catalog: Catalog, most_bytes: int = _MOST_BYTES) -> None:
        self._catalog = catalog
        self._known: LRUCache[_Name, Part] = LRUCache(most_bytes, _size)
        self._embedding = asyncio.Lock()
        self._waiting = 0

    async def read(self, encoder: Encoder, fields: tuple[str, ...], ids: Sequence[int]) -> Parts:
        """What these descriptions say in these fields, with the embeddings that are at hand.

        A part that says all that its description says has the description's own embedding.
        """
        encoder_name = encoder.recipe.fingerprint()
        found = {one: known for one in ids if (known := self._known.get((encoder_name, fields, one))) is not None}
        missing = [one for one in ids if one not in found]
        if missing:
            new = await self._read(encoder, fields, missing)
            self._keep(encoder_name, fields, new)
            found |= new
        return {one: found[one] for one in ids if one in found}

    async def embedded(self, encoder: Encoder, fields: tuple[str, ...], wanted: Parts) -> Parts:
        """The same parts, each that says something with its embedding; at most one batch is embedded at a time.

        Raises `Overloaded` (`fields_busy`) where too many searches wait for theirs.
        """
        if all(one.embedding is not None or not one.text for one in wanted.values()):
            return wanted
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("fields_busy", "too many searches of fields wait to be embedded", retry_after_s=5.0)
        self._waiting += 1
        try:
            async with self._embedding:
                return await self._embedded(encoder, fields, wanted)
        finally:
            self._waiting -= 1

    async def _read(self, encoder: Encoder, fields: tuple[str, ...], ids: Sequence[int]) -> Parts:
        async with self._catalog.reading() as session:
            whole = await field_search.bodies(session, ids)
        told_there = await asyncio.to_thread(_told, whole, fields)
        all_said = [one for one in told_there if (text := said(told_there[one])) and text == said(whole[one])]
        stored = await self._vectors(encoder, all_said) if all_said else {}
        return {one: _part(description, stored.get(one)) for one, description in told_there.items()}

    async def _vectors(self, encoder: Encoder, ids: Sequence[int]) -> dict[int, Embedding]:
        async with self._catalog.reading() as session:
            return await field_search.vectors(session, encoder.recipe, ids)

    async def _embedded(self, encoder: Encoder, fields: tuple[str, ...], wanted: Parts) -> Parts:
        encoder_name = encoder.recipe.fingerprint()
        now = {one: self._known.get((encoder_name, fields, one)) or read for one, read in wanted.items()}
        todo: dict[str, list[int]] = {}
        for one, read in now.items():
            if read.text and read.embedding is None:
                todo.setdefault(read.text, []).append(one)
        for batch in _batches(sorted(todo, key=len)):
            new = await asyncio.to_thread(embed, [now[todo[text][0]].description for text in batch], encoder)
            for text, embedding in zip(batch, new, strict=True):
                done = {one: Part(text, now[one].work, embedding) for one in todo[text]}
                self._keep(encoder_name, fields, done)
                now |= done
        return now

    def _keep(self, encoder: str, fields: tuple[str, ...], new: Parts) -> None:
        for one, read in new.items():
            with contextlib.suppress(ValueError):  # one that is larger than the whole cache is not kept
                self._known[encoder, fields, one] = read


def within(wanted: Parts, work: int) -> Parts:
    """The first of these parts whose embedding takes no more work than this together; equal texts are embedded once."""
    chosen, seen, left = Parts(), set[str](), work
    for one, read in wanted.items():
        needed = 0 if read.text in seen else read.work
        if needed <= left:
            left -= needed
            seen.add(read.text)
            chosen[one] = read
    return chosen


def _told(whole: Mapping[int, SceneDescription], fields: tuple[str, ...]) -> dict[int, SceneDescription]:
    return {one: told(description, fields) for one, description in whole.items()}


def _part(description: SceneDescription, stored: Embedding | None) -> Part:
    text = said(description)
    if stored is not None or not text:
        return Part(text, 0, stored)
    return Part(text, len(text) + _CALL_WORK, None, description)


def _size(read: Part) -> int:
    """About as many bytes as a part takes in memory; one that is yet to be embedded is kept with all that it says."""
    told = read.description
    things = len(told.objects) + len(told.people) + len(told.relations)
    size = 1_000 + (4 if told is _NOTHING else 12) * len(read.text) + _THING_BYTES * things
    return size if read.embedding is None else size + read.embedding.vectors.nbytes + read.embedding.words.nbytes


def _batches(texts: Sequence[str]) -> Iterable[Sequence[str]]:
    return (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))
