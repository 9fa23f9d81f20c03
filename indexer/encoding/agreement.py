"""Do two encoders rank alike? What decides whether queries may be computed in less than fp32."""

from dataclasses import replace

import numpy as np

from indexer.encoding.encoder import Encoder
from indexer.evaluation.gallery import Gallery
from indexer.evaluation.synthetic_corpus import corpus
from indexer.retrieval.ranking import Ranking
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
    gallery = Gallery.of([SceneDescription.from_text(text) for text in texts.documents], exact, Ranking())
    found, right = (replace(gallery, encoder=asked).search(texts.queries, _BEST) for asked in (one, exact))
    shared = [len(np.intersect1d(ours.rows, theirs.rows)) / _BEST for ours, theirs in zip(found, right, strict=True)]
    return float(np.mean(shared))
