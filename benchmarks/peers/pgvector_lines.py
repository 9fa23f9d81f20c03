"""FastAPI and pgvector: the same encoder, an HNSW index in Postgres, one pooled connection a thread."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import psycopg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

texts = json.loads(Path(os.environ["TEXTS"]).read_text())
model = SentenceTransformer(os.environ["MODEL"])
app = FastAPI()
local = threading.local()


def literal(vector: object) -> str:
    return "[" + ",".join(map(str, vector)) + "]"  # type: ignore[call-overload]


def connection() -> psycopg.Connection:
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(os.environ["PEER_DATABASE"], autocommit=True)
    return local.connection


with psycopg.connect(os.environ["PEER_DATABASE"], autocommit=True) as first:
    first.execute("CREATE EXTENSION IF NOT EXISTS vector")
    first.execute("DROP TABLE IF EXISTS peer")
    first.execute(f"CREATE TABLE peer (id int PRIMARY KEY, text text, v vector({model.get_embedding_dimension()}))")
    vectors = np.load(os.environ["VECTORS"])
    rows = [(i, text, literal(vector)) for i, (text, vector) in enumerate(zip(texts, vectors, strict=True))]
    first.cursor().executemany("INSERT INTO peer VALUES (%s, %s, %s::vector)", rows)
    first.execute("CREATE INDEX ON peer USING hnsw (v vector_ip_ops)")


class Question(BaseModel):
    query: str
    k: int = 10


@app.post("/search")
def search(question: Question) -> list[dict[str, object]]:
    vector = literal(model.encode([question.query], normalize_embeddings=True, show_progress_bar=False)[0])
    sql = "SELECT id, text, -(v <#> %s::vector) FROM peer ORDER BY v <#> %s::vector LIMIT %s"
    found = connection().execute(sql, (vector, vector, question.k)).fetchall()
    return [{"id": i, "text": text, "score": score} for i, text, score in found]


uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
