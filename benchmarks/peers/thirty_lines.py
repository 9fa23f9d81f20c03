"""The thirty lines that a user would write first: FastAPI, SentenceTransformer, IndexFlatIP."""

import json
import os
from pathlib import Path

import faiss
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

if threads := os.environ.get("TORCH_THREADS"):
    torch.set_num_threads(int(threads))
texts = json.loads(Path(os.environ["TEXTS"]).read_text())
model = SentenceTransformer(os.environ["MODEL"])
index = faiss.IndexFlatIP(model.get_embedding_dimension())
index.add(np.load(os.environ["VECTORS"]))
app = FastAPI()


class Question(BaseModel):
    query: str
    k: int = 10


@app.post("/search")
def search(question: Question) -> list[dict[str, object]]:
    vector = model.encode([question.query], normalize_embeddings=True, show_progress_bar=False)
    scores, ids = index.search(vector, question.k)
    return [{"id": int(i), "score": float(s), "text": texts[i]} for i, s in zip(ids[0], scores[0], strict=True)]


if __name__ == "__main__":
    uvicorn.run(
        "thirty_lines:app",
        app_dir=str(Path(__file__).parent),
        port=int(os.environ["PORT"]),
        workers=int(os.environ.get("WORKERS", "1")),
        log_level="warning",
        access_log=False,
    )
