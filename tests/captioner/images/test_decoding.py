"""Decoding guards: what is refused, why, and that nothing but upright pixels comes through."""

import io

import pytest
from PIL import Image

from captioner.images.decoding import FIRST_FRAME, Decoded, Wanted, decode
from scenes.outcome import Refused


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 64, height: int = 32) -> Image.Image:
    return Image.effect_noise((width, height), 60).convert("RGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_every_kind_becomes_bare_rgb(kind: str, mode: str) -> None:
    image = photo().convert("RGB" if kind in {"JPEG", "WEBP"} and mode == "P" else mode)
    found = decode("0" * 64, encoded(image, kind), Wanted(1_280))
    assert isinstance(found, Decoded)
    assert (found.picture.pixels.mode, found.picture.pixels.size, found.picture.pixels.info) == ("RGB", (64, 32), {})


def bomb() -> bytes:
    return encoded(Image.new("1", (12_000, 12_000)), "PNG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not_an_image"),
        (b"%PDF-1.4 not an image", "not_an_image"),
        (encoded(photo(400, 400), "JPEG")[:5_000], "truncated"),
        (encoded(photo(400, 400), "PNG")[:5_000], "truncated"),
        (bomb(), "too_large"),
    ],
)
def test_what_can_not_be_shown_is_refused(data: bytes, reason: str) -> None:
    found = decode("0" * 64, data, Wanted(1_280))
    assert isinstance(found, Refused)
    assert found.reason == reason


def test_exif_orientation_is_applied_and_exif_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "CANARY-EXIF"
    found = decode("0" * 64, encoded(photo(), "JPEG", exif=exif), Wanted(1_280))
    assert isinstance(found, Decoded)
    assert found.picture.pixels.size == (32, 64)
    assert b"CANARY" not in encoded(found.picture.pixels, "PNG")


def test_an_animation_gives_its_first_frame_and_says_so() -> None:
    frames = [photo(), photo()]
    found = decode("0" * 64, encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), Wanted(1_280))
    assert isinstance(found, Decoded)
    assert found.notes == (FIRST_FRAME,)


def test_16_bit_greys_keep_their_range_and_large_images_are_scaled() -> None:
    grey = Image.new("I;16", (2_000, 100), 65_535)
    found = decode("0" * 64, encoded(grey, "PNG"), Wanted(640))
    assert isinstance(found, Decoded)
    assert found.picture.pixels.size == (640, 32)
    assert found.picture.pixels.getpixel((5, 5)) == (255, 255, 255)
