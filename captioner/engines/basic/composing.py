"""What was seen, put into a scene description: pure, and hedged where little is known."""

from dataclasses import dataclass

from captioner.engines.basic.colours import Light
from captioner.engines.basic.faces import Face
from captioner.engines.basic.tags import Tag
from scenes.description import Box, People, Position, SceneDescription, SceneObject, Setting

_MUCH_TEXT = 6
_GRID: tuple[tuple[Position, Position, Position], ...] = (
    ("top left", "top", "top right"),
    ("left", "center", "right"),
    ("bottom left", "bottom", "bottom right"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything the basic engine saw in one picture; `width` and `height` in pixels."""

    width: int
    height: int
    tags: tuple[Tag, ...]
    faces: tuple[Face, ...]
    text: tuple[str, ...]
    colours: tuple[str, ...]
    light: Light


def compose(seen: Seen) -> SceneDescription:
    """A valid description of any picture."""
    return SceneDescription(
        summary=_summary(seen),
        detail=_detail(seen),
        setting=Setting(lighting=seen.light.words()),
        objects=tuple(_object(tag) for tag in seen.tags) + tuple(_face(face) for face in seen.faces[:8]),
        people=(People(count=len(seen.faces), role="person"),) if seen.faces else (),
        visible_text=seen.text,
        medium="page of text" if len(seen.text) >= _MUCH_TEXT else None,
        style="black and white" if seen.light.is_grey else None,
    )


def _summary(seen: Seen) -> str:
    subjects = [*_people(seen), *(_named(tag) for tag in seen.tags[:2])]
    if not subjects and len(seen.text) >= _MUCH_TEXT:
        subjects = ["a page of text"]
    tone = "A black and white" if seen.light.is_grey else "A"
    what = " and ".join(subjects) if subjects else _colour_words(seen)
    return f"{tone} {_shape(seen)} picture of {what}."


def _detail(seen: Seen) -> str:
    sentences = [_tag_sentence(tag) for tag in seen.tags]
    if seen.faces:
        one = len(seen.faces) == 1
        sentences.append(f"{'One face is' if one else f'{len(seen.faces)} faces are'} visible.")
    if seen.colours:
        sentences.append(f"The main colours are {_colour_words(seen)}.")
    if seen.text:
        sentences.append(f"It shows text: {' / '.join(seen.text[:12])}.")
    return " ".join([*sentences, f"The light is {seen.light.words()}."])


def _people(seen: Seen) -> list[str]:
    count = len(seen.faces)
    return [] if not count else ["a person"] if count == 1 else [f"{count} people"]


def _named(tag: Tag) -> str:
    hedge = "" if tag.is_sure else "probably "
    return hedge + _with_article(tag.name)


def _tag_sentence(tag: Tag) -> str:
    kinds = f", {_with_article(tag.kinds[0])}" if tag.kinds and tag.kinds[0] not in tag.name.lower() else ""
    return f"There {'is' if tag.is_sure else 'may be'} {_with_article(tag.name)}{kinds}."


def _object(tag: Tag) -> SceneObject:
    return SceneObject(name=tag.name, attributes=tag.kinds)


def _face(face: Face) -> SceneObject:
    box = Box(x0=face.x0, y0=face.y0, x1=face.x1, y1=face.y1)
    return SceneObject(name="face", count=1, position=_position(face), box=box)


def _position(face: Face) -> Position:
    column = min(2, int((face.x0 + face.x1) / 2 * 3))
    row = min(2, int((face.y0 + face.y1) / 2 * 3))
    return _GRID[row][column]


def _shape(seen: Seen) -> str:
    if abs(seen.width - seen.height) < 0.05 * seen.width:
        return "square"
    return "wide" if seen.width > seen.height else "tall"


def _colour_words(seen: Seen) -> str:
    return " and ".join(seen.colours) if seen.colours else "mixed colours"


def _with_article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
