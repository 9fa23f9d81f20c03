"""A scene sketch: a small SVG drawn from the words of a description. The image itself is not kept."""

import hashlib

from markupsafe import Markup, escape

from scenes.description import Position, SceneDescription, SceneObject
from scenes.wording import whole_text

_COLOURS = {
    "red": "#c8553d", "orange": "#d98e4a", "yellow": "#e3c567", "green": "#7a9e6c", "turquoise": "#6fb1a8",
    "blue": "#6a8fb8", "purple": "#8d7bab", "pink": "#d79aa6", "brown": "#93704f", "black": "#3b3a3e",
    "white": "#e9e4da", "grey": "#a7a49d", "gray": "#a7a49d", "gold": "#cfa24a", "silver": "#b9bcc2",
}  # fmt: skip
_PLACES: dict[Position, tuple[float, float]] = {
    "top left": (0.22, 0.25), "top": (0.5, 0.25), "top right": (0.78, 0.25),
    "left": (0.22, 0.5), "center": (0.5, 0.5), "right": (0.78, 0.5),
    "bottom left": (0.22, 0.75), "bottom": (0.5, 0.75), "bottom right": (0.78, 0.75),
}  # fmt: skip
_WIDTH, _HEIGHT = 320, 200
_SHAPES_MOST = 7


def sketch(description: SceneDescription) -> Markup:
    """An SVG of 320 × 200: bands in the colours that are named, a shape an object where it is said to be."""
    bands = _bands(description)
    shapes = [_shape(thing, i, bands) for i, thing in enumerate(description.objects[:_SHAPES_MOST])]
    people = [_person(i, sum(group.count or 1 for group in description.people)) for i in range(_people(description))]
    body = Markup("").join([*_painted(bands), *shapes, *people])
    return Markup(
        '<svg class="sketch" viewBox="0 0 {} {}" role="img" aria-label="Sketch drawn from the words">{}</svg>'
    ).format(_WIDTH, _HEIGHT, body)


def _bands(description: SceneDescription) -> list[str]:
    named = [word for word in _words(description) if word in _COLOURS]
    found = list(dict.fromkeys(_COLOURS[word] for word in named))[:3]
    digest = hashlib.sha256(whole_text(description).encode()).digest()
    calm = ["#d9d2c3", "#c7ccc4", "#cfc7cf", "#c6ced6"]
    return found or [calm[digest[0] % 4], calm[(digest[0] + 1) % 4]]


def _words(description: SceneDescription) -> list[str]:
    return [word.strip(".,;:").lower() for word in whole_text(description).split()]


def _painted(bands: list[str]) -> list[Markup]:
    height = _HEIGHT / len(bands)
    return [
        Markup('<rect x="0" y="{:.0f}" width="{}" height="{:.0f}" fill="{}"/>').format(
            i * height, _WIDTH, height + 1, colour
        )
        for i, colour in enumerate(bands)
    ]


def _shape(thing: SceneObject, number: int, bands: list[str]) -> Markup:
    x, y = _centre(thing, number)
    fill = _COLOURS.get(thing.colour or "", "#f4efe4" if bands else "#ffffff")
    label = escape(thing.name if len(thing.name) <= 18 else thing.name[:17] + "…")  # noqa: PLR2004 - what fits
    width = max(54, 9 * len(thing.name[:18]) + 18)
    return Markup(
        '<g><rect x="{:.0f}" y="{:.0f}" width="{}" height="30" rx="15" fill="{}" fill-opacity=".92"/>'
        '<text x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text></g>'
    ).format(x - width / 2, y - 15, width, fill, x, y + 5, label)


def _centre(thing: SceneObject, number: int) -> tuple[float, float]:
    if thing.box is not None:
        return (thing.box.x0 + thing.box.x1) / 2 * _WIDTH, (thing.box.y0 + thing.box.y1) / 2 * _HEIGHT
    if thing.position is not None:
        x, y = _PLACES[thing.position]
        return x * _WIDTH, y * _HEIGHT
    return _WIDTH / 2, 42 + 36 * (number % 4)


def _people(description: SceneDescription) -> int:
    return min(5, sum(group.count or 1 for group in description.people))


def _person(number: int, of: int) -> Markup:
    x = _WIDTH * (number + 1) / (min(of, 5) + 1)
    return Markup(
        '<g fill="#2f2d33" fill-opacity=".75"><circle cx="{:.0f}" cy="128" r="13"/>'
        '<path d="M{:.0f} 200v-26a24 24 0 0 1 48 0v26z"/></g>'
    ).format(x, x - 24)
