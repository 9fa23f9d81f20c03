"""Colours and light, in plain words, from the pixels alone."""

import colorsys
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]
"""float32 (height, width, 3), RGB in 0…1."""

_SIDE = 48
_NOTABLE_SHARE = 0.12
_HUES = (
    (0.028, "red"),
    (0.095, "orange"),
    (0.18, "yellow"),
    (0.44, "green"),
    (0.53, "turquoise"),
    (0.70, "blue"),
    (0.80, "purple"),
    (0.94, "pink"),
    (1.01, "red"),
)


@dataclass(frozen=True, slots=True)
class Light:
    """`brightness` and `contrast` in 0…1; `is_grey` for an image without colour."""

    brightness: float
    contrast: float
    is_grey: bool

    def words(self) -> str:
        """Such as 'dark, high contrast'."""
        level = "dark" if self.brightness < 0.25 else "bright" if self.brightness > 0.7 else "medium light"  # noqa: PLR2004
        spread = "low contrast" if self.contrast < 0.12 else "high contrast" if self.contrast > 0.3 else ""  # noqa: PLR2004
        return ", ".join(part for part in (level, spread) if part)


def small(image: Image.Image) -> Pixels:
    """A thumbnail of the image as numbers."""
    thumbnail = image.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(thumbnail, dtype=np.float32) / 255.0


def light(pixels: Pixels) -> Light:
    grey = pixels.mean(axis=2)
    colourful = float((pixels.max(axis=2) - pixels.min(axis=2)).mean())
    return Light(float(grey.mean()), float(grey.std()), colourful < 0.02)  # noqa: PLR2004 - below it nothing is coloured


def dominant(pixels: Pixels) -> list[str]:
    """The colours that fill a notable share of the picture, the largest first, at most three."""
    names = Counter(colour_name(*pixel) for pixel in pixels.reshape(-1, 3).tolist())
    total = names.total()
    return [name for name, n in names.most_common(3) if n / total >= _NOTABLE_SHARE]


def colour_name(red: float, green: float, blue: float) -> str:
    """The plain English name of a colour; each part in 0…1."""
    hue, lightness, _ = colorsys.rgb_to_hls(red, green, blue)
    chroma = max(red, green, blue) - min(red, green, blue)
    if chroma < 0.1:  # noqa: PLR2004 - a grey
        return "black" if lightness < 0.18 else "white" if lightness > 0.85 else "grey"  # noqa: PLR2004
    name = next(name for limit, name in _HUES if hue < limit)
    if name in ("orange", "red", "yellow") and lightness < 0.42 and chroma < 0.55:  # noqa: PLR2004 - a dull warm tone
        return "brown"
    return "dark " + name if lightness < 0.2 else name  # noqa: PLR2004
