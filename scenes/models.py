"""Where packaged model weights lie on this machine. `wordsight models` puts them there, digests verified."""

import os
import sys
from pathlib import Path

from scenes.errors import EnvironmentMissing


def models_folder() -> Path:
    """`WORDSIGHT_MODELS`, or `share/wordsight/models` of the running Python environment."""
    named = os.environ.get("WORDSIGHT_MODELS")
    return Path(named) if named else Path(sys.prefix) / "share" / "wordsight" / "models"


def find_model(name: str) -> Path:
    """The folder of an unpacked model. Raises `EnvironmentMissing` (`model_missing`)."""
    folder = models_folder() / name
    if not folder.is_dir():
        raise EnvironmentMissing("model_missing", f"the model {name!r} is not in {folder.parent}", fix="make models")
    return folder
