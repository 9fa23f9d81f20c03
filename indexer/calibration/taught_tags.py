"""Makes the structure parser's tagger: `python -m indexer.calibration.taught_tags captions-train.jsonl`.

spaCy's tagger is the teacher; the texts are the training captions, a few of them again inside sentences such as
descriptions have, and nothing else. The same file and model give the same bytes.
"""

import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from indexer.calibration.calibrating import split
from indexer.calibration.description_words import known_words, plural
from indexer.calibration.pairs import read_pairs
from indexer.calibration.tagging import language
from indexer.structure.tagging import DATA, TAGS, Tagger, may_be, traits
from indexer.structure.words import sentences
from scenes.artifact import write_file

Taught = tuple[list[str], str]
"""Words of a sentence and their tags."""
ROUNDS, SEED = 6, 20_261_125
_LEAST_SAID = 3
_RARE_TAG = 0.015
_SCALE = 4
_LIGHT = 2
_IRREGULAR = {"be": ("is", "are"), "have": ("has", "have"), "do": ("does", "do"), "go": ("goes", "go")}
"""What is said of one and of many, of verbs whose third person is not made as a plural is."""
_LETTERS = {
    "NN": "N", "NNP": "N", "NNS": "S", "NNPS": "S", "JJ": "J", "JJR": "J", "JJS": "J", "CD": "C", "DT": "D",
    "PDT": "D", "PRP$": "D", "WP$": "D", "PRP": "P", "EX": "X", "WDT": "W", "WP": "W", "WRB": "W", "VBZ": "V",
    "VBP": "V", "VBD": "V", "VB": "V", "MD": "V", "VBG": "G", "VBN": "E", "RB": "R", "RBR": "R", "RBS": "R",
    "RP": "R", "IN": "I", "TO": "I", "CC": "&", "POS": "'",
}  # fmt: skip
_FRAMES = (
    "The image shows {}.",
    "The image depicts {}.",
    "The photo captures {}.",
    "The scene features {}, suggesting a calm atmosphere.",
    "In the background, there is {}.",
    "In the foreground, {} can be seen.",
    "There appears to be {}.",
    "The overall setting includes {}.",
    "On the left side of the image, {} is visible.",
    "Next to it, {} appears to be partially visible.",
)


class Teacher:
    """Sentences as spaCy's tagger reads them; `verbs` are the plain forms of verbs in -ing that it met.

    Raises `EnvironmentMissing`.
    """

    def __init__(self) -> None:
        self._nlp = language(without=("ner", "parser"))
        self.verbs: dict[str, str] = {}

    def teach(self, texts: Sequence[str]) -> Iterator[Taught]:
        """The sentences of all texts; those that the teacher cuts into other words are left out."""
        for text, doc in zip(texts, self._nlp.pipe(texts, batch_size=256), strict=True):
            tags = {token.idx + len(token): token.tag_ for token in doc}
            self.verbs |= {token.lower_: token.lemma_.lower() for token in doc if token.tag_ == "VBG"}
            end = 0
            for words in sentences(text):
                letters = ""
                for word in words:
                    end = text.index(word, end) + len(word)
                    letters += letter(word, tags.get(end))
                if "?" not in letters:
                    yield words, letters


def letter(word: str, tag: str | None) -> str:
    """Our letter for the teacher's tag, `?` where it has none at the word's end."""
    if not word[0].isalnum():
        return may_be(word.lower(), {})
    if tag == "VBN" and "-" in word:
        return "J"
    if tag is None:
        return "?"
    return _LETTERS.get(tag, "N")


def framed(captions: Sequence[str]) -> list[str]:
    """The captions, and one in two again inside a sentence of a description."""
    rng = random.Random(SEED)
    inside = [rng.choice(_FRAMES).format(text[0].lower() + text[1:].rstrip(" .")) for text in captions[::2] if text]
    return [*captions, *inside]


def finite(lessons: Iterable[Taught], verbs: Mapping[str, str]) -> Iterator[Taught]:
    """'A man is riding', 'a man riding' again as 'a man rides': captions say it seldom, descriptions often."""
    for words, tags in lessons:
        place = next((at for at, tag in enumerate(tags) if tag == "G" and words[at].lower() in verbs), 0)
        subject = place - 1 - (tags[:place].endswith("V") and words[place - 1].lower() in ("is", "are"))
        if place and subject >= 0 and tags[subject] in "NS":
            verb = verbs[words[place].lower()]
            one, many = _IRREGULAR.get(verb, (plural(verb), verb))
            said = one if tags[subject] == "N" else many
            yield [*words[: subject + 1], said, *words[place + 1 :]], f"{tags[: subject + 1]}V{tags[place + 1 :]}"


def taught(lessons: Sequence[Taught]) -> Tagger:
    """A tagger that learnt these sentences."""
    words = lexicon(lessons)
    sums: dict[tuple[str, str], int] = defaultdict(int)
    weights: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    order, rng, step = list(lessons), random.Random(SEED), 0
    for _ in range(ROUNDS):
        rng.shuffle(order)
        for said, right in order:
            step = _lesson(Tagger(words, weights), said, right, sums, step)
    return Tagger(words, _averaged(weights, sums, step))


def lexicon(lessons: Iterable[Taught]) -> dict[str, str]:
    """What each word that was said a few times may be, the likeliest first, and what is known of others."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for words, tags in lessons:
        for word, tag in zip(words, tags, strict=True):
            if tag in TAGS:
                seen[word.lower()][tag] += 1
    return known_words() | {
        word: "".join(tag for tag, n in counts.most_common() if n >= _RARE_TAG * counts.total())
        for word, counts in seen.items()
        if counts.total() >= _LEAST_SAID and not word[0].isdigit()
    }


def _lesson(tagger: Tagger, said: Sequence[str], right: str, sums: dict[tuple[str, str], int], step: int) -> int:
    """One sentence, its tags so far always the right ones; returns the step after it."""
    low = [word.lower() for word in said]
    may = [may_be(word, tagger.words) for word in low]
    for place, tag in enumerate(right):
        if len(may[place]) == 1 or tag not in may[place]:
            continue
        step += 1
        guess = tagger.decided(low, may, right[:place], place)
        if guess != tag:
            for trait in traits(low, may, right[:place], place):
                for which, change in ((tag, 1), (guess, -1)):
                    tagger.weights[trait][which] += change  # type: ignore[index]
                    sums[trait, which] += change * step
    return step


def _averaged(
    weights: Mapping[str, Mapping[str, int]], sums: Mapping[tuple[str, str], int], steps: int
) -> dict[str, dict[str, int]]:
    """Whole numbers; the light ones are dropped."""
    averaged: dict[str, dict[str, int]] = {}
    for trait, votes in sorted(weights.items()):
        kept = {tag: round(_SCALE * (vote - sums[trait, tag] / max(1, steps))) for tag, vote in sorted(votes.items())}
        kept = {tag: vote for tag, vote in kept.items() if abs(vote) >= _LIGHT}
        if kept:
            averaged[trait] = kept
    return averaged


def main(file: str) -> None:
    """Write `tags.json`; held-out images teach nothing."""
    _, training = split(read_pairs(Path(file)))
    captions = sorted({text for example in training for text in example.asking})
    teacher = Teacher()
    lessons = list(teacher.teach(framed(captions)))
    tagger = taught([*lessons, *finite(lessons, teacher.verbs)])
    body = {"words": dict(tagger.words), "weights": {name: dict(votes) for name, votes in tagger.weights.items()}}
    write_file(DATA, (json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n").encode())
    print(f"{len(tagger.words)} words, {len(tagger.weights)} traits, {DATA.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
