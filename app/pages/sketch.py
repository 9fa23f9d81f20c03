"""A scene sketch: a small SVG drawn from the words of a description. The image itself is not kept."""

import hashlib

from markupsafe import Markup

from scenes.description import Position, SceneDescription, SceneObject
from scenes.wording import whole_text

_COLOURS = {
    "red": "#c8553d", "orange": "#d98e4a", "yellow": "#e3c567", "green": "#7a9e6c", "turquoise": "#6fb1a8",
    "blue": "#6a8fb8", "purple": "#8d7bab", "pink": "#d79aa6", "brown": "#93704f", "black": "#4a484e",
    "white": "#e9e4da", "grey": "#a7a49d", "gray": "#a7a49d", "gold": "#cfa24a", "silver": "#b9bcc2",
}  # fmt: skip
_CALM = ("#d9d2c3", "#c7ccc4", "#cfc7cf", "#c6ced6")
_PLACES: dict[Position, tuple[float, float]] = {
    "top left": (0.22, 0.18), "top": (0.5, 0.18), "top right": (0.78, 0.18),
    "left": (0.22, 0.48), "center": (0.5, 0.48), "right": (0.78, 0.48),
    "bottom left": (0.22, 0.78), "bottom": (0.5, 0.78), "bottom right": (0.78, 0.78),
}  # fmt: skip
_WIDTH, _HEIGHT = 320, 200
_MOST_LABELS, _MOST_PEOPLE = 6, 5
_LETTERS, _QUOTED = 18, 30
_ROWS = (36, 72, 108, 144)


def sketch(description: SceneDescription) -> Markup:
    """An SVG of 320 × 200: a sky in the colours that are named, people, a label an object where it is said to be."""
    name = "s" + hashlib.sha256(whole_text(description).encode()).hexdigest()[:12]
    people = sum(group.count or 1 for group in description.people)
    labels = [_label(thing, i) for i, thing in enumerate(description.objects[:_MOST_LABELS])]
    body = [_sky(name, description), *_crowd(min(people, _MOST_PEOPLE)), *(labels or [_quote(description)])]
    return Markup(
        '<svg class="sketch" viewBox="0 0 {} {}" role="img" aria-label="Sketch drawn from the words">{}</svg>'
    ).format(_WIDTH, _HEIGHT, Markup("").join(body))


def _sky(name: str, description: SceneDescription) -> Markup:
    calm = int(name[1:], 16)
    colours = [*_named(description), _CALM[calm % 4], _CALM[(calm + 1) % 4]]
    colours = colours[: max(2, len(colours) - 2)]
    last = len(colours) - 1
    stops = [
        Markup('<stop offset="{:.2f}" stop-color="{}"/>').format(i / last, colour) for i, colour in enumerate(colours)
    ]
    return Markup(
        '<defs><linearGradient id="{}" x2=".25" y2="1">{}</linearGradient></defs><rect width="{}" height="{}"'
        ' fill="url(#{})"/><path d="M0 150Q80 118 160 146T320 138V200H0z" fill="#fffdf8" fill-opacity=".22"/>'
        '<path d="M0 176Q110 146 200 172T320 166V200H0z" fill="#26242a" fill-opacity=".12"/>'
    ).format(name, Markup("").join(stops), _WIDTH, _HEIGHT, name)


def _named(description: SceneDescription) -> list[str]:
    words = [word.strip(".,;:").lower() for word in whole_text(description).split()]
    return list(dict.fromkeys(_COLOURS[word] for word in words if word in _COLOURS))[:3]


def _label(thing: SceneObject, number: int) -> Markup:
    text = _cut(f"{thing.count} × {thing.name}" if thing.count and thing.count > 1 else thing.name, _LETTERS)
    colour = _COLOURS.get(thing.colour or "")
    width = 9.2 * len(text) + (42 if colour else 26)
    x, y = _centre(thing, number)
    left = min(max(x - width / 2, 4), _WIDTH - width - 4)
    dot = Markup('<circle cx="{:.0f}" cy="{:.0f}" r="6" fill="{}"/>').format(left + 16, y, colour) if colour else ""
    return Markup(
        '<g><rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="28" rx="14" fill="#fffdf8" fill-opacity=".92"/>{}'
        '<text x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text></g>'
    ).format(left, y - 14, width, dot, left + width / 2 + (8 if colour else 0), y + 5, text)


def _centre(thing: SceneObject, number: int) -> tuple[float, float]:
    if thing.box is not None:
        return (thing.box.x0 + thing.box.x1) / 2 * _WIDTH, 18 + (thing.box.y0 + thing.box.y1) / 2 * (_HEIGHT - 36)
    if thing.position is not None:
        x, y = _PLACES[thing.position]
        return x * _WIDTH, y * _HEIGHT
    return _WIDTH * (0.5 if number % 2 == 0 else 0.32), _ROWS[number % len(_ROWS)]


def _crowd(people: int) -> list[Markup]:
    places = [_WIDTH * (i + 1) / (people + 1) for i in range(people)]
    return [
        Markup(
            '<g fill="#26242a" fill-opacity=".5"><circle cx="{:.0f}" cy="142" r="12"/>'
            '<path d="M{:.0f} 200v-18a22 22 0 0 1 44 0v18z"/></g>'
        ).format(x, x - 22)
        for x in places
    ]


def _quote(description: SceneDescription) -> Markup:
    text = _cut(description.summary or description.detail, _QUOTED)
    width = 8.2 * len(text) + 40
    return Markup(
        '<rect x="{:.0f}" y="82" width="{:.0f}" height="34" rx="17" fill="#fffdf8" fill-opacity=".92"/>'
        '<text class="quote" x="{}" y="104" text-anchor="middle">“{}”</text>'
    ).format((_WIDTH - width) / 2, width, _WIDTH // 2, text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
