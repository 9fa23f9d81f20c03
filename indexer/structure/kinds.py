"""Words whose kind the rules must know, from `kinds.toml`."""

import tomllib
from pathlib import Path
from typing import Any

_WORDS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("kinds.toml").read_text(encoding="utf-8"))


def _set(name: str) -> frozenset[str]:
    return frozenset(_WORDS[name].split())


PEOPLE = _set("people")
MOVERS = _set("movers")
COLOURS = _set("colours")
SHADES = _set("shades")
VIEWS = _set("views")
MEDIA = _set("media")
MEASURES = _set("measures")
PLACES_WITHIN = _set("places_within")
VAGUE = _set("vague") | PLACES_WITHIN | VIEWS | (MEASURES - MOVERS)
SCENES = _set("scenes")
TIMES = _set("times")
WEATHER = _set("weather")
CLOTHES = _set("clothes")
EMPTY = _set("empty")
BEFORE_PLACES = _set("before_places")
PARTICLES = _set("particles")
COPULAS = _set("copulas")
AUXILIARIES = _set("auxiliaries") | COPULAS
CLAUSE_MARKS = _set("clause_marks")
EXAMPLES = _set("examples")
NO_RELATION = _set("no_relation") | EXAMPLES
NO_ACTION = _set("no_action")
PLURAL_ONLY = _set("plural_only")
SINGULARS: dict[str, str] = _WORDS["singulars"]
PAIRS = frozenset(["couple", "pair"])
NEGATIONS = frozenset(["no", "without", "not", "never", "neither", "nor", "lack", "lacks", "lacking", "devoid"])
DEFINITE = frozenset(["the", "this", "that", "these", "those", "his", "her", "their", "its", "both"])
SHE_OR_HE = frozenset(["he", "she", "him", "her", "himself", "herself"])
MANY = frozenset(["they", "them", "themselves"])
OTHER = frozenset(["other", "another", "second", "third"])
ONE = frozenset(["it", "itself"])
_ORDER = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBERS = {name: value for value, name in enumerate(_ORDER, start=1)} | {"both": 2, "dozen": 12}
