"""The nouns of the training texts, and for each what could plausibly stand in its place.

A stand-in is near in meaning but seldom said of the same image, so that it is another thing and no synonym.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from indexer.calibration.pairs import Example
from indexer.calibration.tagging import nouns_of
from indexer.encoding.encoder import Encoder
from indexer.structure.words import singular

LEAST_SAID = 12
STAND_INS = 12
_NEAREST = 60
_SAME_IMAGE = 0.15
"""Two nouns said of the same image more often than this share of the rarer one's images may be synonyms."""

_VAGUE = frozenset(
    [
        "top",
        "side",
        "front",
        "back",
        "group",
        "bunch",
        "couple",
        "piece",
        "view",
        "picture",
        "photo",
        "image",
        "photograph",
        "shot",
        "close",
        "area",
        "background",
        "part",
        "middle",
        "lot",
        "number",
        "set",
        "pair",
        "line",
        "row",
        "end",
        "way",
        "type",
        "kind",
        "thing",
        "something",
        "other",
        "one",
        "right",
        "left",
    ]
)


def said_words(text: str) -> list[str]:
    """Its words in small letters."""
    return re.findall(r"[a-z]+", text.lower())


def stand_ins(examples: Sequence[Example], encoder: Encoder) -> dict[str, tuple[str, ...]]:
    """For each frequent noun (singular) what may replace it, nearest first."""
    counts = Counter(singular(noun) for noun in nouns_of([text for one in examples for text in one.asking]))
    nouns = [noun for noun, n in sorted(counts.items()) if n >= LEAST_SAID and noun not in _VAGUE and len(noun) > 2]  # noqa: PLR2004
    if not nouns:
        return {}
    images = _images_of(examples)
    vectors = encoder.encode_queries(nouns).vectors
    near = np.argsort(-(vectors @ vectors.T), axis=1, kind="stable")[:, 1:_NEAREST]
    return {
        noun: tuple(islice(_others(noun, (nouns[place] for place in near[row]), images), STAND_INS))
        for row, noun in enumerate(nouns)
    }


def _images_of(examples: Sequence[Example]) -> Mapping[str, set[int]]:
    images: dict[str, set[int]] = defaultdict(set)
    for number, example in enumerate(examples):
        for text in (*example.asking, example.describing or ""):
            for word in said_words(text):
                images[singular(word)].add(number)
    return images


def _others(noun: str, candidates: Iterator[str], images: Mapping[str, set[int]]) -> Iterator[str]:
    for other in candidates:
        fewer = max(1, min(len(images[noun]), len(images[other])))
        if len(images[noun] & images[other]) / fewer < _SAME_IMAGE:
            yield other
