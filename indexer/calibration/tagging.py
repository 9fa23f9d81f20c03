"""Which words of a text are nouns, by the packaged spaCy model."""

from collections.abc import Iterator, Sequence

from scenes.errors import EnvironmentMissing
from scenes.models import find_model

MODEL = "spacy-en-md"
_NOUNS = ("NN", "NNS")


def nouns_of(texts: Sequence[str]) -> Iterator[str]:
    """The common nouns of all texts, in small letters. Raises `EnvironmentMissing`."""
    try:
        import spacy
    except ImportError as error:
        raise EnvironmentMissing(
            "spacy_not_installed", "spaCy is not installed", fix="pip install 'wordsight[calibrate]'"
        ) from error
    nlp = spacy.load(find_model(MODEL), disable=["ner", "parser", "lemmatizer", "attribute_ruler"])
    for doc in nlp.pipe(texts, batch_size=256):
        yield from (token.lower_ for token in doc if token.tag_ in _NOUNS and token.is_alpha)
