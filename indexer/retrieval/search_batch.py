"""The one way from queries to ranked images: embed, find candidates, rank them by their token vectors as well.

`search` does it for queries that look in one place for one page; everything that ranks goes through it. `BatchSearch`
does it for whatever requests share a batch of the encoder. Neither does any I/O: candidates whose token vectors are
not in memory are returned as they are, to be ranked once those have been read.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np

from indexer.encoding.encoder import Encoded, Encoder, Vectors, Words
from indexer.releases.index_reader import Found, Rows, Snapshot
from indexer.releases.recall_sample import RecallSampler
from indexer.retrieval.page import Page
from indexer.retrieval.ranking import Ranking
from indexer.tokens.late_interaction import Said
from indexer.tokens.token_cache import TokenCache
from scenes.catalog.collections import CollectionRow


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """`vector` float32 (dim,), unit length; `truncated`: was the query longer than the encoder reads?

    `words` float32 (t, word_dim) are its token vectors, None from an encoder that has none.
    """

    vector: Vectors
    truncated: bool
    words: Words | None = None


class Source(Protocol):
    """Where candidates and their token vectors come from; safe in any thread."""

    def candidates(self, queries: Vectors, k: int) -> list[Found]:
        """The k best images for each query, float32 (n, dim), by pooled vectors."""
        ...

    def tokens(self, rows: Sequence[int]) -> Said:
        """The token vectors of these rows, as far as they are in memory."""
        ...


@dataclass(frozen=True, slots=True)
class Ranked:
    """Images of one query, best first; `complete` is False where they are still in the order of the index, because
    token vectors must be read first."""

    found: Found
    complete: bool


def search(
    source: Source, ranking: Ranking, page: Page, queries: Sequence[EncodedQuery], measured: "Measured | None" = None
) -> list[Ranked]:
    """The ranked candidates of several queries of one encoder; none depends on the queries next to it."""
    measured = Measured() if measured is None else measured
    began = time.perf_counter()
    found = source.candidates(np.stack([one.vector for one in queries]), page.candidates)
    measured.took("index", time.perf_counter() - began)
    return rank(source, ranking, page, found, queries, measured)


def rank(
    source: Source,
    ranking: Ranking,
    page: Page,
    found: Sequence[Found],
    queries: Sequence[EncodedQuery],
    measured: "Measured | None" = None,
) -> list[Ranked]:
    """The candidates of each query in the order shown, where their token vectors are in memory."""
    tokens = [one.words for one in queries if one.words is not None]
    if len(tokens) < len(queries):
        return [Ranked(one, complete=True) for one in found]
    said = source.tokens([row for one in found for row in one.rows.tolist()])
    began = time.perf_counter()
    ranked = _ranked_each(ranking, page, found, tokens, said)
    if measured is not None:
        measured.took("rank", time.perf_counter() - began)
    return ranked


def _ranked_each(
    ranking: Ranking, page: Page, found: Sequence[Found], queries: Sequence[Words], said: Said
) -> list[Ranked]:
    if said.is_whole:
        return [Ranked(one, complete=True) for one in page.ranked_each(ranking, found, queries, said)]
    ranked, ends = [], accumulate(len(one.rows) for one in found)
    for one, query, end in zip(found, queries, ends, strict=True):
        mine = said.chosen(slice(end - len(one.rows), end))
        whole = page.ranked_each(ranking, [one], [query], mine) if mine.is_whole else [one]
        ranked.append(Ranked(whole[0], mine.is_whole))
    return ranked


@dataclass(slots=True)
class Measured:
    """What was measured while a batch was searched: seconds by stage, and how many queries were embedded together.

    It is returned with the first result of the batch, so that nothing is counted twice and nothing is called back.
    """

    stages: list[tuple[str, float]] = field(default_factory=list)
    embedded: int = 0

    def took(self, stage: str, seconds: float) -> None:
        self.stages.append((stage, seconds))


@dataclass(frozen=True, eq=False)
class Target:
    """Where a search looks and for which page; requests with equal targets are searched together."""

    collection: CollectionRow
    encoder: str
    reader: Snapshot
    page: Page
    cache: TokenCache
    sampler: RecallSampler | None = None
    allowed: Rows | None = None

    @cached_property
    def key(self) -> tuple[object, ...]:
        return self.collection.id, self.collection.generation, id(self.reader), self.page, id(self.allowed)

    def candidates(self, queries: Vectors, k: int) -> list[Found]:
        """As `Source.candidates`; of the last query a sample may be taken for the watch of recall."""
        if self.allowed is not None:
            return [self.reader.search(query, k, self.allowed) for query in queries]
        found = self.reader.search_each(queries, k)
        if self.sampler is not None:
            self.sampler.offer(self.reader, queries[-1], k)
        return found

    def tokens(self, rows: Sequence[int]) -> Said:
        return self.cache.at_hand(self.collection, self.encoder, rows)


@dataclass(frozen=True, slots=True)
class Lookup:
    """One request as a batch sees it: the query, its vectors where they are known, and where to look; without a target
    it is only embedded."""

    query: str
    encoded: EncodedQuery | None
    target: Target | None


@dataclass(frozen=True, slots=True)
class Looked:
    """The embedded query and, where there was a target, its ranked candidates."""

    encoded: EncodedQuery
    ranked: Ranked | None = None
    measured: Measured | None = None


@dataclass(frozen=True, slots=True)
class BatchSearch:
    """Searches a batch of requests to one encoder: what the micro-batcher runs."""

    encoder: Encoder
    ranking: Ranking

    def __call__(self, batch: Sequence[Lookup]) -> list[Looked]:
        measured = Measured()
        looked = [Looked(one) for one in self._encoded(batch, measured)]
        for target, places in _by_target(batch):
            queries = [looked[place].encoded for place in places]
            for place, ranked in zip(places, search(target, self.ranking, target.page, queries, measured), strict=True):
                looked[place] = replace(looked[place], ranked=ranked)
        looked[0] = replace(looked[0], measured=measured)
        return looked

    def _encoded(self, batch: Sequence[Lookup], measured: Measured) -> list[EncodedQuery]:
        unknown = [one.query for one in batch if one.encoded is None]
        if not unknown:
            return [one.encoded for one in batch if one.encoded is not None]
        began = time.perf_counter()
        fresh = iter(encoded_queries(self.encoder.encode_queries(unknown)))
        measured.embedded = len(unknown)
        measured.took("encode", time.perf_counter() - began)
        return [next(fresh) if one.encoded is None else one.encoded for one in batch]


def encoded_queries(encoded: Encoded) -> list[EncodedQuery]:
    """What an encoder made of several queries, one by one."""
    words = encoded.words or [None] * len(encoded.vectors)
    return [
        EncodedQuery(vector, bool(truncated), tokens)
        for vector, truncated, tokens in zip(encoded.vectors, encoded.truncated, words, strict=True)
    ]


def _by_target(batch: Sequence[Lookup]) -> list[tuple[Target, list[int]]]:
    """The places of the requests that have equal targets, target by target."""
    alike: dict[tuple[object, ...], tuple[Target, list[int]]] = {}
    for place, one in enumerate(batch):
        if one.target is not None:
            alike.setdefault(one.target.key, (one.target, []))[1].append(place)
    return list(alike.values())
