"""EXIF by allow-list: what is named is kept in the record, all else is gone."""

import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from app.cli.caption_options import CaptionOptions
from captioner.batches.folder import BatchFolder
from captioner.batches.latest_records import standing
from captioner.images.decoding import Decoded, Wanted, decode
from captioner.pipeline.run import caption
from captioner.sources import items
from scenes.errors import BadInput
from scenes.outcome import Described
from tests.captioner.conftest import ScriptedDescriber


def tagged(seed: int = 0) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Model], exif[ExifTags.Base.Artist] = "CANARY-MODEL", "CANARY-ARTIST"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:01 10:00:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 24.0)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (seed, 100, 100)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ((), {}),
        (("DateTimeOriginal", "Model"), {"DateTimeOriginal": "2024:05:01 10:00:00", "Model": "CANARY-MODEL"}),
        (("GPSLatitude",), {"GPSLatitude": "(48.0, 51.0, 24.0)"}),
        (("LensModel",), {}),
    ],
)
def test_only_what_is_named_is_kept(names: tuple[str, ...], kept: dict[str, str]) -> None:
    found = decode("0" * 64, tagged(), Wanted(640, names))
    assert isinstance(found, Decoded)
    assert found.exif == kept
    assert found.picture.pixels.info == {}


def test_a_record_holds_the_kept_tags_and_its_recipe_names_them(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(tagged())
    describer = ScriptedDescriber()
    recipe = describer.recipe.model_copy(update={"exif": ("Model",)})
    folder = BatchFolder.for_recipe(tmp_path / "out", recipe)
    caption(items(str(tmp_path / "a.jpg")), describer, folder)
    (record,) = standing(folder)
    assert isinstance(record.outcome, Described)
    assert record.outcome.exif == {"Model": "CANARY-MODEL"}
    assert recipe.fingerprint() != describer.recipe.fingerprint()
    assert b"CANARY-ARTIST" not in folder.files()[0].read_bytes()


def test_names_are_checked() -> None:
    assert CaptionOptions(keep_exif="Model, DateTimeOriginal").exif_names == ("DateTimeOriginal", "Model")
    assert CaptionOptions().exif_names == ()
    with pytest.raises(BadInput, match="no EXIF tag 'Modell'"):
        _ = CaptionOptions(keep_exif="Modell").exif_names
