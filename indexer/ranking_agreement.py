"""Do two encoders rank alike? What decides whether queries may be computed in less than fp32."""

import numpy as np

from indexer.embedding import embed
from indexer.encoder import Encoder
from indexer.made_up_scenes import corpus
from indexer.ranking import Ranking
from indexer.scoring import exact_scores
from indexer.snapshot import Found
from scenes.description import SceneDescription

_DOCUMENTS = 200
_QUERIES = 200
_SEED = 20_260_106
_BEST = 10


def shared_of_the_best(one: Encoder, exact: Encoder) -> float:
    """Which share of the ten best of a query two encoders have in common, on average over made-up queries.

    Documents are those of `exact` for both. They are alike by construction, so that little decides between them.
    """
    texts = corpus(_DOCUMENTS, _QUERIES, _SEED)
    stands = embed([SceneDescription.from_text(text) for text in texts.documents], exact)
    vectors = np.concatenate([each.vectors for each in stands])
    words = {row: each.words for row, each in enumerate(stands)}

    def best(encoder: Encoder) -> list[set[int]]:
        encoded, ranking = encoder.encode_queries(texts.queries), Ranking()
        found = []
        for i, query in enumerate(encoded.vectors):
            scores = exact_scores(vectors, query).reshape(len(stands), -1).max(axis=1)
            rows = np.argsort(-scores, kind="stable")[: ranking.candidates(_BEST)]
            said = encoded.words[i] if encoded.words else None
            ranked = ranking.ranked(Found(rows, scores[rows]), said, words)
            found.append(set(ranked.rows[:_BEST].tolist()))
        return found

    shared = [len(ours & theirs) / _BEST for ours, theirs in zip(best(one), best(exact), strict=True)]
    return float(np.mean(shared))
