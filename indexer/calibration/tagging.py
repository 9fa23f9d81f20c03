"""The packaged spaCy model, and which words of a text are nouns by it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scenes.errors import EnvironmentMissing
from scenes.weights.registry import find_model

if TYPE_CHECKING:
    from spacy.language import Language

MODEL = "spacy-en-md"
_NOUNS = ("NN", "NNS")


def language(without: Sequence[str]) -> "Language":
    """The packaged model less some of its steps. Raises `EnvironmentMissing`."""
    try:
        import spacy
    except ImportError as error:
        raise EnvironmentMissing(
            "spacy_not_installed", "spaCy is not installed", fix="pip install 'wordsight[calibrate]'"
        ) from error
    return spacy.load(find_model(MODEL), disable=list(without))


def nouns_of(texts: Sequence[str]) -> Iterator[str]:
    """The common nouns of all texts, in small letters. Raises `EnvironmentMissing`."""
    nlp = language(without=("ner", "parser", "lemmatizer", "attribute_ruler"))
    for doc in nlp.pipe(texts, batch_size=256):
        yield from (token.lower_ for token in doc if token.tag_ in _NOUNS and token.is_alpha)
