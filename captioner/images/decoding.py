"""Bytes to an upright RGB picture, or the reason why not. The one door to Pillow's decoders."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from captioner.engines.engine import Picture
from captioner.images.exif import kept_tags
from captioner.images.near_duplicates import Look
from scenes.identity import ImageId
from scenes.outcome import RefusalReason, Refused

MAX_BYTES = 200_000_000
MAX_PIXELS = 120_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM")
_MAX_8_BIT, _MAX_16_BIT = 255.0, 65_535.0
FIRST_FRAME = "first frame of an animation"

ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture and what the record should say of its decoding."""

    picture: Picture
    notes: tuple[str, ...]
    exif: Mapping[str, str] = field(default_factory=dict)
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of an image besides upright pixels: the named EXIF tags, and its look."""

    max_side_px: int
    exif: tuple[str, ...] = ()
    look: bool = False


def decode(key: ImageId, data: bytes, wanted: Wanted) -> Decoded | Refused:
    """Decode the image of an id: first frame, EXIF orientation applied, RGB, longest side bounded.

    EXIF, GPS and every other tag stay behind, but for those wanted by name.
    Refused: empty, not_an_image, truncated, too_large, unsupported.
    """
    if not data:
        return Refused(image_id=key, reason=RefusalReason.EMPTY)
    if len(data) > MAX_BYTES:
        return Refused(image_id=key, reason=RefusalReason.TOO_LARGE, detail=f"over {MAX_BYTES} bytes")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _decoded(key, image, wanted)
    except UnidentifiedImageError:
        return Refused(image_id=key, reason=RefusalReason.NOT_AN_IMAGE)
    except Image.DecompressionBombError:
        return Refused(image_id=key, reason=RefusalReason.TOO_LARGE, detail="a decompression bomb")
    except Exception as error:  # noqa: BLE001 - decoders raise any kind on hostile bytes; each means: broken
        return Refused(image_id=key, reason=RefusalReason.TRUNCATED, detail=type(error).__name__)


def _decoded(key: ImageId, image: Image.Image, wanted: Wanted) -> Decoded | Refused:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return Refused(image_id=key, reason=RefusalReason.TOO_LARGE, detail=f"{width} × {height} pixels")
    notes = (FIRST_FRAME,) if getattr(image, "n_frames", 1) > 1 else ()
    if image.format == "JPEG":
        image.draft("RGB", (wanted.max_side_px, wanted.max_side_px))
    image.load()
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((wanted.max_side_px, wanted.max_side_px), Image.Resampling.LANCZOS)
    pixels = _bare_rgb(upright)
    look = Look.of(pixels) if wanted.look else None
    return Decoded(Picture(key, pixels), notes, kept_tags(image, wanted.exif), look)


def _bare_rgb(image: Image.Image) -> Image.Image:
    """Pixels alone: 16-bit greys scaled, transparency on white, no info dictionary."""
    if image.mode.startswith(("I", "F")):
        image = _scaled_to_8_bit(image)
    if image.has_transparency_data:
        behind = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(behind, image.convert("RGBA"))
    rgb = image.convert("RGB")
    rgb.info.clear()
    rgb.getexif().clear()
    return rgb


def _scaled_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit greys by their full range; other wide greys by 8 bits unless their values say 16."""
    _, high = image.convert("F").getextrema()
    is_16_bit = image.mode.startswith("I;16") or float(high) > _MAX_8_BIT  # type: ignore[arg-type]
    factor = _MAX_8_BIT / _MAX_16_BIT if is_16_bit else 1.0
    return image.convert("F").point(lambda value: value * factor).convert("L")
