"""The redactor's model and libraries are loaded for the first description, once, and no others with them."""

import subprocess
import sys

CODE = """
import gc, sys
import captioner.batches.publish, captioner.pipeline.run
from captioner.redaction.loading import LateRedactor
from captioner.redaction.policy import READ
from scenes.description import SceneDescription
from scenes.outcome import Described

def loaded():
    return [name for name in ("spacy", "presidio_analyzer", "transformers", "torch") if name in sys.modules]

one, other = LateRedactor(), LateRedactor(READ)
before = loaded()
outcome = Described(image_id="0" * 64, description=SceneDescription(detail="A letter to Margaret Thatcher."))
said = [redactor(outcome).description.detail for redactor in (one, other)]
from captioner.redaction.finding import Finder
print(before, loaded(), said, sum(isinstance(one, Finder) for one in gc.get_objects()))
"""


def test_the_redactor_is_loaded_when_it_is_needed_and_once_a_process() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=240, check=True)
    said = ["A letter to [name].", "A letter to Margaret Thatcher."]
    assert done.stdout.strip() == f"[] ['spacy', 'presidio_analyzer'] {said} 1"
