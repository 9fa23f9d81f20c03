"""Our server, with everything on, beside the servers that a user could pick; same machine, run, texts and encoder.

Each server runs alone and answers a closed loop of distinct queries at concurrency 1, 8 and 32. Ours has keys, bounds
and stored searches on. Judged as a ratio to the better of the thirty lines with torch's own threads and with one.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks import recording
from benchmarks.corpus import Corpus, corpus
from benchmarks.load import Pace, Plan
from indexer.encoder import Vectors
from indexer.sentence_encoder import SentenceEncoder
from scenes.models import DEFAULT_ENCODER, find_model

MEASURED = ("app", "indexer", "scenes", "benchmarks/bench_server.py", "benchmarks/load.py", "benchmarks/peers")
SEED = 20_261_123
LEVELS = (1, 8, 32)
BAR = {1: 2.0, 8: 3.5, 32: 5.0}
SHARE_OF_ENCODER = 0.65
OVERLAP = 0.99
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
TXTAI = "WORDSIGHT_TXTAI"
"""A folder with txtai and its API's requirements (`pip install --no-deps --target …`); without it txtai is left out."""
_BIN = Path(sys.executable).parent
_CHECKED = 200


def main() -> None:
    """Raises `AssertionError` where a bar is missed, after the figures were recorded."""
    texts = corpus(1_278, 6_000, SEED)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        figures = measure(texts, Path(folder))
    figures |= {"seconds": SECONDS, "documents": len(texts.documents), "load": os.getloadavg()}
    figures["missed"] = missed(figures)
    print(json.dumps(figures, indent=1))
    recording.record("bench_server", figures, measured=MEASURED, seed=SEED)
    assert not figures["missed"], figures["missed"]


def measure(texts: Corpus, folder: Path) -> dict[str, Any]:
    """Searches a second by server and level."""
    file = folder / "texts.json"
    file.write_text(json.dumps(texts.documents))
    common = os.environ | {
        "TEXTS": str(file),
        "VECTORS": str(folder / "vectors.npy"),
        "MODEL": str(find_model(DEFAULT_ENCODER)),
        "HF_HUB_OFFLINE": "1",
    }
    plain = [json.dumps({"query": query, "k": 10}) for query in texts.queries]
    np.save(folder / "vectors.npy", SentenceEncoder.load().encode_documents(texts.documents).vectors)
    found: dict[str, Any] = {"encoder_alone_batches": encoder_alone(texts.queries)}
    with ours(texts, folder / "home") as (port, headers, database):
        found["ours"] = levels(port, "/v1/collections/bench/search", plain, headers)
        found["top10_overlap"] = overlap(texts, np.load(folder / "vectors.npy"), port, headers)
        peer = common | {"PEER_DATABASE": database}
        with served("pgvector_lines", peer, "/openapi.json") as port_of_peer:
            found["pgvector"] = levels(port_of_peer, "/search", plain, {})
    with served("thirty_lines", common, "/openapi.json") as port:
        found["thirty_lines"] = levels(port, "/search", plain, {})
    with served("thirty_lines", common | {"TORCH_THREADS": "1"}, "/openapi.json") as port:
        found["thirty_lines_one_thread"] = levels(port, "/search", plain, {})
    if where := os.environ.get(TXTAI):
        asked = [f"?limit=10&query={query.replace(' ', '%20')}" for query in texts.queries]
        with served("txtai_lines", common | {"PYTHONPATH": where}, "/openapi.json") as port:
            found["txtai"] = levels(port, "/search", asked, {}, method="GET")
    return found


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Which bars are not reached."""
    told = []
    for level, bar in BAR.items():
        thirty = max(figures[name][str(level)]["per_second"] for name in ("thirty_lines", "thirty_lines_one_thread"))
        ratio = figures["ours"][str(level)]["per_second"] / thirty
        if ratio < bar:
            told.append(f"{ratio:.2f} times the thirty lines at {level} instead of {bar}")
    share = figures["ours"]["32"]["per_second"] / figures["encoder_alone_batches"]
    if share < SHARE_OF_ENCODER:
        told.append(f"{share:.2f} of the encoder alone instead of {SHARE_OF_ENCODER}")
    if figures["top10_overlap"] < OVERLAP:
        told.append(f"top 10 agree to {figures['top10_overlap']} instead of {OVERLAP}")
    return told


def levels(
    port: int, path: str, bodies: list[str], headers: dict[str, str], method: str = "POST"
) -> dict[str, dict[str, Any]]:
    """The pace at each concurrency, each with queries that no other level sends."""
    share = len(bodies) // len(LEVELS)
    return {
        str(level): asdict(
            pace(Plan(port, path, bodies[i * share : (i + 1) * share], level, SECONDS, headers=headers, method=method))
        )
        for i, level in enumerate(LEVELS)
    }


def pace(plan: Plan) -> Pace:
    """One run of the load generator, in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps(asdict(plan)))
        file.flush()
        words = [sys.executable, "-m", "benchmarks.load", file.name]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=recording.ROOT)
    return Pace(**json.loads(done.stdout))


def encoder_alone(queries: list[str]) -> float:
    """Queries a second of the same encoder in batches of 32, two at a time, without HTTP."""
    from indexer.serving_encoder import load_encoder

    with tempfile.TemporaryDirectory() as home:
        encoder = load_encoder(None, Path(home))
    encoder.encode_queries(queries[:64])
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        part = queries[count % 4_000 :][:512]
        encoder.encode_queries(part)
        count += len(part)
    return round(count / (time.perf_counter() - started), 1)


def overlap(texts: Corpus, vectors: Vectors, port: int, headers: dict[str, str]) -> float:
    """How many of the top 10 are those of torch and exact search, on average."""
    asked = texts.queries[-_CHECKED:]
    best = np.argsort(-(SentenceEncoder.load().encode_queries(asked).vectors @ vectors.T), axis=1)[:, :10]
    shared = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
        for query, expected in zip(asked, best, strict=True):
            answer = client.post("/v1/collections/bench/search", json={"query": query, "k": 10}).json()
            ids = {int(match["external_id"]) for match in answer["results"]}
            shared.append(len(ids & set(expected.tolist())) / 10)
    return round(float(np.mean(shared)), 4)


@contextmanager
def ours(texts: Corpus, home: Path) -> Iterator[tuple[int, dict[str, str], str]]:
    """Our server over the texts: port, headers with a key, and its Postgres for a peer to use."""
    from scenes.catalog.embedded import postgres

    home.mkdir(mode=0o755)
    lines = home / "texts.jsonl"
    lines.write_text("\n".join(json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts.documents)))
    with postgres(home, None) as url:
        environment = os.environ | {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url.replace("+psycopg", "")}
        command(environment, "import", str(lines), "--collection", "bench")
        key = command(environment, "key", "create", "--collection", "bench", "--scope", "search")["key"]
        port = free_port()
        program = [str(_BIN / "wordsight"), "serve", "--port", str(port)]
        with running(program, environment, port, "/readyz"):
            yield port, {"Authorization": f"Bearer {key}"}, environment["DATABASE_URL"]


def command(environment: Mapping[str, str], *words: str) -> Any:
    program = [str(_BIN / "wordsight"), *words, "--json"]
    return json.loads(subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout)


@contextmanager
def served(peer: str, environment: Mapping[str, str], ready: str) -> Iterator[int]:
    """A peer on a free port."""
    port = free_port()
    program = [sys.executable, str(Path(__file__).parent / "peers" / f"{peer}.py")]
    with running(program, {**environment, "PORT": str(port)}, port, ready):
        yield port


@contextmanager
def running(program: list[str], environment: Mapping[str, str], port: int, ready: str) -> Iterator[None]:
    """A server process, from its first answer to the end of the block."""
    process = subprocess.Popen(program, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 400
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                raise RuntimeError(f"{program} did not start: {process.communicate()[1].decode()[-2_000:]}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
