"""Measure a ranker on a retrieval set and, where there is one, on minimal pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.encoding.encoder import Encoder
from indexer.evaluation.composition import Composition, Minimal, composed
from indexer.evaluation.dataset import Dataset
from indexer.evaluation.gallery import Gallery, Tick
from indexer.evaluation.intervals import Interval, interval
from indexer.evaluation.measures import Run, measured
from indexer.reranking.reranking import Reranking
from indexer.retrieval.ranking import Ranking
from scenes.description import SceneDescription

FOUND = 50
"""How many documents of each query are measured."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`measures` by the contract's names, `values` float64 (queries,) for each; `clusters` names each query's image;
    `reranker` names the model that ordered the best again, None where none did."""

    dataset: str
    documents: int
    queries: int
    measures: Mapping[str, Interval]
    values: Mapping[str, NDArray[np.float64]]
    clusters: tuple[str, ...]
    composition: Composition | None
    reranker: str | None = None


def evaluate(
    dataset: Dataset,
    encoder: Encoder,
    ranking: Ranking,
    pairs: Sequence[Minimal] | None = None,
    tick: Tick = lambda _done, _total: None,
    reranking: Reranking | None = None,
) -> Evaluation:
    """Rank every query over the whole set, and every minimal pair, as the server would."""
    gallery = Gallery.of(dataset.documents, encoder, ranking, tick, reranking)
    found = gallery.search(dataset.queries, FOUND)
    run = {
        query: {dataset.document_ids[row]: float(score) for row, score in zip(one.rows, one.scores, strict=True)}
        for query, one in zip(dataset.query_ids, found, strict=True)
    }
    composition = None if pairs is None else composed(pairs, PairedDescriptions(encoder, ranking, reranking))
    return summarised(dataset, run, composition, reranking)


def summarised(
    dataset: Dataset, run: Run, composition: Composition | None, reranking: Reranking | None = None
) -> Evaluation:
    """The measures of a run, with intervals over the right images."""
    values = measured(run, dataset.relevant, dataset.query_ids)
    clusters = tuple(min(dataset.relevant[query]) for query in dataset.query_ids)
    return Evaluation(
        dataset=dataset.name,
        documents=len(dataset.documents),
        queries=len(dataset.queries),
        measures={name: interval(each, clusters) for name, each in values.items()},
        values=values,
        clusters=clusters,
        composition=composition,
        reranker=None if reranking is None else reranking.reranker.name,
    )


class PairedDescriptions:
    """Scores (query, description) pairs; each description is embedded once."""

    def __init__(self, encoder: Encoder, ranking: Ranking, reranking: Reranking | None = None) -> None:
        self._encoder = encoder
        self._ranking = ranking
        self._reranking = reranking
        self._galleries: dict[tuple[str, ...], tuple[dict[str, int], Gallery]] = {}

    def __call__(self, queries: Sequence[str], descriptions: Sequence[SceneDescription]) -> NDArray[np.float32]:
        """Scores float32 (n,) of n queries, each against the description in its place."""
        keys = [description.model_dump_json() for description in descriptions]
        distinct = dict(zip(keys, descriptions, strict=True))
        name = tuple(sorted(distinct))
        if name not in self._galleries:
            chosen = [distinct[key] for key in name]
            gallery = Gallery.of(chosen, self._encoder, self._ranking, reranking=self._reranking)
            self._galleries[name] = ({key: place for place, key in enumerate(name)}, gallery)
        places, gallery = self._galleries[name]
        return gallery.pair_scores(queries, [places[key] for key in keys])
