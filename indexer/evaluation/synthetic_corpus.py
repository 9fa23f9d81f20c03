"""A seeded corpus of scene descriptions and distinct short queries, made of plain words: no data set is needed."""

import random
from dataclasses import dataclass

_THINGS_WORDS = """
dog cat horse bus bicycle train boat tower bridge kitchen table chair lamp window garden street market beach
mountain river forest field player child woman man chef cyclist farmer tourist umbrella kite ball racket
surfboard skateboard laptop phone book bottle cup plate pizza cake sandwich apple banana clock vase sofa bed
mirror sink
"""
_LOOKS_WORDS = """
red blue green yellow white black brown grey orange small large old new wooden metal striped shiny wet dusty
bright dark tall narrow round empty crowded quiet sunny snowy foggy rusty clean painted broken soft
"""
_DEEDS_WORDS = """
stands sits rests runs leans waits turns falls shines lies hangs moves points looks opens rises
"""
_PLACES_WORDS = """
beside under behind near above inside against across from around
"""

_SHORT = 0.5
"""This share of the queries name two things, the others three."""
_THINGS, _LOOKS = _THINGS_WORDS.split(), _LOOKS_WORDS.split()
_DEEDS, _PLACES = _DEEDS_WORDS.split(), _PLACES_WORDS.split()


@dataclass(frozen=True, slots=True)
class Corpus:
    """`documents` and `queries`: texts, each different from all others."""

    documents: list[str]
    queries: list[str]


def corpus(documents: int, queries: int, seed: int) -> Corpus:
    """Descriptions of about 100 words, queries of 6 to 14."""
    dice = random.Random(seed)  # noqa: S311 - nothing here is a secret
    texts = [" ".join(_sentence(dice) for _ in range(9)) for _ in range(documents)]
    asked: dict[str, None] = {}
    while len(asked) < queries:
        asked[_query(dice)] = None
    return Corpus(texts, list(asked))


def _sentence(dice: random.Random) -> str:
    one, other = dice.sample(_THINGS, 2)
    return (
        f"A {dice.choice(_LOOKS)} {dice.choice(_LOOKS)} {one} {dice.choice(_DEEDS)} {dice.choice(_PLACES)} "
        f"the {dice.choice(_LOOKS)} {other}."
    )


def _query(dice: random.Random) -> str:
    one, other = dice.sample(_THINGS, 2)
    words = (
        f"a {dice.choice(_LOOKS)} {one} {dice.choice(_DEEDS)} {dice.choice(_PLACES)} a {dice.choice(_LOOKS)} {other}"
    )
    return words if dice.random() < _SHORT else f"{words} with a {dice.choice(_LOOKS)} {dice.choice(_THINGS)}"
