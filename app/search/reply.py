"""What a search found, as an `Answer` or written at once as the same JSON."""

from dataclasses import dataclass

from app.search.shown import Hit
from scenes.answer import Answer

_NO_RESULTS = '"results":[]'


@dataclass(frozen=True, slots=True)
class Reply:
    """`frame` is the answer without its results."""

    frame: Answer
    hits: tuple[Hit, ...]

    def answer(self) -> Answer:
        return self.frame.model_copy(update={"results": tuple(hit.match() for hit in self.hits)})

    def written(self) -> bytes:
        """`answer()` as JSON."""
        head, tail = self.frame.model_dump_json().split(_NO_RESULTS, 1)
        results = b",".join([hit.written() for hit in self.hits])
        return b"".join((head.encode(), b'"results":[', results, b"]", tail.encode()))
