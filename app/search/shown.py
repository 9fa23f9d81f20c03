"""An image as answers show it, prepared once: its unchanging part as JSON, the phrases that evidence is chosen from."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from app.search.evidence import Phrase, Phrases, prepared
from scenes.answer import Match
from scenes.catalog.images import ImageView

_CHANGING = {"score", "probability", "evidence"}
_WRITTEN = b'%b,"score":%b,"probability":%b,"evidence":[%b]}'


@dataclass(frozen=True, slots=True)
class Shown:
    """`unchanging` is the JSON object of a match without score, probability and evidence, nor its closing brace."""

    view: ImageView
    unchanging: bytes
    phrases: Phrases

    @classmethod
    def of(cls, view: ImageView) -> "Shown":
        """Everything about an image that no query changes."""
        text = _match(view, score=0.0).model_dump_json(exclude=_CHANGING)
        return cls(view, text[:-1].encode(), prepared(view.description))

    def phrases_of(self, fields: tuple[str, ...] | None) -> Phrases:
        """The phrases that can be evidence; of these fields only, if any."""
        return self.phrases if fields is None else prepared(self.view.description, fields)


@dataclass(frozen=True, slots=True)
class Hit:
    """One image of one answer; `chance` is P(relevant), None where the encoder is not calibrated."""

    shown: Shown
    score: float
    chance: float | None
    evidence: tuple[Phrase, ...]

    def match(self) -> Match:
        """As the command line and the pages take it."""
        evidence = tuple(phrase.evidence for phrase in self.evidence)
        return _match(self.shown.view, score=self.score, probability=self.chance, evidence=evidence)

    def written(self) -> bytes:
        """`match()` as JSON, with its keys in another order."""
        phrases = b",".join([phrase.unshared for phrase in self.evidence])
        return _WRITTEN % (self.shown.unchanging, to_json(self.score), to_json(self.chance), phrases)


def _match(view: ImageView, **changing: Any) -> Match:
    return Match(
        image_id=view.image_id,
        external_id=view.external_id,
        uri=view.uris[0] if view.uris else None,
        description=view.description,
        metadata=view.metadata,
        source=view.source,
        recipe=view.recipe,
        **changing,
    )
