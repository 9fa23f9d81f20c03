"""Real photographs that installed packages ship, with their licences; copied under names that tell nothing."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from scenes.artifact import write_file
from scenes.errors import EnvironmentMissing
from scenes.identity import image_id


@dataclass(frozen=True, slots=True)
class Sample:
    """One photograph: the package that ships it, its path inside, its licence and where it comes from."""

    package: str
    path: str
    licence: str


_NASA = "public domain, NASA"
_SKIMAGE = "CC0, scikit-image data"

SAMPLES: tuple[Sample, ...] = (
    Sample("skimage", "data/astronaut.png", _NASA),
    Sample("skimage", "data/camera.png", "CC0, Lav Varshney"),
    Sample("skimage", "data/chelsea.png", "CC0, Stéfan van der Walt"),
    Sample("skimage", "data/clock_motion.png", "CC0, Stéfan van der Walt"),
    Sample("skimage", "data/coffee.png", "CC0, Rachel Michetti"),
    Sample("skimage", "data/coins.png", "no known restrictions, Brooklyn Museum"),
    Sample("skimage", "data/moon.png", _NASA),
    Sample("skimage", "data/motorcycle_left.png", "CC0, Middlebury stereo 2014, D. Scharstein and others"),
    Sample("skimage", "data/rocket.jpg", "CC0, SpaceX"),
    Sample("skimage", "data/brick.png", _SKIMAGE),
    Sample("skimage", "data/grass.png", _SKIMAGE),
    Sample("skimage", "data/gravel.png", _SKIMAGE),
    Sample("skimage", "data/page.png", _SKIMAGE),
    Sample("sklearn", "datasets/images/china.jpg", "CC BY 2.0, danielbuechele"),
    Sample("sklearn", "datasets/images/flower.jpg", "CC BY 2.0, vultilion"),
    Sample("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "public domain, US Navy"),
)


def copy_samples(folder: Path) -> dict[Path, Sample]:
    """Copy all samples into `folder`, each named by its content hash. Raises `EnvironmentMissing`."""
    return {_copied(sample, folder): sample for sample in SAMPLES}


def _copied(sample: Sample, folder: Path) -> Path:
    data = _original(sample).read_bytes()
    path = folder / f"{image_id(data)[:16]}{Path(sample.path).suffix}"
    if not path.is_file():
        write_file(path, data)
    return path


def _original(sample: Sample) -> Path:
    spec = importlib.util.find_spec(sample.package)
    if spec is None or spec.origin is None:
        raise EnvironmentMissing(
            "samples_missing", f"the package {sample.package} is not installed", fix="pip install 'wordsight[samples]'"
        )
    return Path(spec.origin).parent / sample.path
