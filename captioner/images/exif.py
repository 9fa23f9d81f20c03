"""EXIF by allow-list: the tags that are named are kept as text, all others and GPS stay behind."""

from PIL import ExifTags, Image

_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_LONGEST = 200
NAMES = frozenset(ExifTags.TAGS.values()) | frozenset(ExifTags.GPSTAGS.values())
"""Every tag that can be named."""


def kept_tags(image: Image.Image, names: tuple[str, ...]) -> dict[str, str]:
    """The named tags that an image has, in the order of the names; a tag's text is cut at 200 characters."""
    if not names:
        return {}
    found = _all_tags(image)
    return {name: found[name] for name in names if name in found}


def _all_tags(image: Image.Image) -> dict[str, str]:
    exif = image.getexif()
    named = {ExifTags.TAGS.get(tag, ""): value for tag, value in exif.items()}
    for ifd in _IFDS:
        table = ExifTags.GPSTAGS if ifd is ExifTags.IFD.GPSInfo else ExifTags.TAGS
        named |= {table.get(tag, ""): value for tag, value in exif.get_ifd(ifd).items()}
    return {name: _text(value) for name, value in named.items()}


def _text(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.replace("\x00", "").encode("utf-8", "replace").decode().strip()[:_LONGEST]
