"""Near-duplicates: images that look the same share one description, each keeping a row of its own.

A look is a difference hash of 64 bits (which of two neighbouring grey cells is brighter) and the colours of 4 × 4
cells, so that plain images of different colours stay apart. The looks of the last `WINDOW` described images of a run
are kept: bursts and re-encoded copies lie close together.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from captioner.batches.rows import Record
from scenes.identity import ImageId
from scenes.outcome import Described, Failed, Usage

POLICY = "look-1"
WINDOW = 2_000
_MOST_BITS, _MOST_COLOUR = 3, 10
_NOTE = "shares the description of its near-duplicate "


@dataclass(frozen=True, slots=True)
class Look:
    """What an image looks like, roughly."""

    bits: int
    colours: bytes

    @classmethod
    def of(cls, pixels: Image.Image) -> "Look":
        """The look of an RGB picture."""
        grey = pixels.resize((9, 8), Image.Resampling.BOX).convert("L").tobytes()
        brighter = [grey[9 * y + x] < grey[9 * y + x + 1] for y in range(8) for x in range(8)]
        return cls(
            sum(bit << n for n, bit in enumerate(brighter)), pixels.resize((4, 4), Image.Resampling.BOX).tobytes()
        )

    def is_like(self, other: "Look") -> bool:
        """Would a person take the two for the same picture?"""
        if (self.bits ^ other.bits).bit_count() > _MOST_BITS:
            return False
        return all(abs(a - b) <= _MOST_COLOUR for a, b in zip(self.colours, other.colours, strict=True))


@dataclass(frozen=True, slots=True)
class Follower:
    """An image that waits for the description of another; its pixels are held no more."""

    uri: str
    image_id: ImageId
    notes: tuple[str, ...]
    exif: Mapping[str, str]


@dataclass
class _Leader:
    look: Look
    outcome: Described | Failed | None = None
    waiting: list[Follower] = field(default_factory=list)


class NearDuplicates:
    """Who follows whom in one run."""

    def __init__(self) -> None:
        self._leaders: OrderedDict[ImageId, _Leader] = OrderedDict()

    def leader(self, image_id: ImageId, look: Look) -> ImageId | None:
        """The image that looked so before; None where this one is the first, and leads from now on."""
        for earlier, one in reversed(self._leaders.items()):
            if look.is_like(one.look):
                return earlier
        self._leaders[image_id] = _Leader(look)
        self._forget()
        return None

    def follow(self, leader: ImageId, follower: Follower) -> Described | Failed | None:
        """The follower's outcome if its leader has one; else it waits."""
        one = self._leaders[leader]
        if one.outcome is not None:
            return shared(one.outcome, follower)
        one.waiting.append(follower)
        return None

    def settled(self, outcome: Described | Failed, round_: int) -> list[Record]:
        """A leader has its outcome: the records of all who waited for it."""
        one = self._leaders.get(outcome.image_id)
        if one is None:
            return []
        one.outcome, waiting, one.waiting = outcome, one.waiting, []
        return [Record(shared(outcome, follower), follower.uri, round_) for follower in waiting]

    def _forget(self) -> None:
        """The oldest leader that nobody waits for leaves the window."""
        if len(self._leaders) > WINDOW:
            old = next((key for key, one in self._leaders.items() if one.outcome is not None), None)
            if old is not None:
                del self._leaders[old]


def shared(outcome: Described | Failed, follower: Follower) -> Described | Failed:
    """The leader's outcome as the follower's; it cost nothing."""
    own = {"image_id": follower.image_id, "usage": Usage(attempts=0)}
    if isinstance(outcome, Described):
        notes = (*follower.notes, f"{_NOTE}{outcome.image_id}")
        return outcome.model_copy(update={**own, "notes": notes, "exif": dict(follower.exif)})
    return outcome.model_copy(update=own)


def is_shared(outcome: Described) -> bool:
    """Is this description another image's?"""
    return any(note.startswith(_NOTE) for note in outcome.notes)
