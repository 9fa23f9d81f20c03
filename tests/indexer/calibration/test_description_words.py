"""Words that are added to the tagger's list by hand."""

from indexer.calibration.description_words import known_words, plural
from indexer.calibration.taught_tags import finite

RIGHT = {
    "accompanied": "EVJ", "implies": "V", "implied": "EVJ", "mimicking": "GNJ", "mimicked": "EVJ", "lying": "GNJ",
    "lain": "EJ", "brought": "EVJ", "given": "EJ", "wore": "V", "contrast": "VN", "cast": "VNE", "spreads": "VS",
    "displayed": "EVJ", "defining": "GNJ", "showed": "V", "stood": "EVJ", "keep": "V", "vantage": "N", "textures": "S",
}  # fmt: skip
WRONG = ("accompanyed", "implyed", "mimicing", "liing", "bringed", "keeped", "maked", "casted", "wored", "standed")


def test_forms_are_those_that_there_are() -> None:
    known = known_words()
    assert {word: known.get(word) for word in RIGHT} == RIGHT
    assert known.keys().isdisjoint(WRONG)
    assert [plural(word) for word in ("buzz", "carry", "play", "match")] == ["buzzes", "carries", "plays", "matches"]


def test_verbs_in_ing_are_said_again_as_finite_ones() -> None:
    lessons = [(["A", "man", "is", "carrying", "it"], "DNVGP"), (["A", "man", "having", "fun"], "DNGN")]
    verbs = {"carrying": "carry", "having": "have"}
    assert list(finite(lessons, verbs)) == [
        (["A", "man", "carries", "it"], "DNVP"),
        (["A", "man", "has", "fun"], "DNVN"),
    ]
