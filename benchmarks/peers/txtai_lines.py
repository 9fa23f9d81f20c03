"""txtai's own API server over the same encoder and texts. Runs where txtai is found (WORDSIGHT_TXTAI)."""

import json
import os
import sys
import tempfile
from pathlib import Path

import uvicorn

folder = Path(tempfile.mkdtemp())
model = os.environ["MODEL"]
(folder / "app.yml").write_text(
    f"writable: true\nembeddings:\n  path: {model}\n  content: true\npath: {folder / 'index'}\n"
)
os.environ["CONFIG"] = str(folder / "app.yml")
sys.path.insert(0, str(folder))

from txtai.embeddings import Embeddings  # noqa: E402

embeddings = Embeddings(path=model, content=True)
texts = json.loads(Path(os.environ["TEXTS"]).read_text())
embeddings.index([(str(i), text, None) for i, text in enumerate(texts)])
embeddings.save(str(folder / "index"))

from txtai.api import application  # noqa: E402

uvicorn.run(application.app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
