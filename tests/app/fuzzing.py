"""Schemathesis over the running app: every check on, seeded, on an image and a search that exist."""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.app.live import Live

PHASES = "examples,coverage,fuzzing,stateful"
ROOT = Path(__file__).resolve().parents[2]
_RULES = Path(__file__).with_name("schemathesis.toml")
_KNOWN = hashlib.sha256(b"known").hexdigest()


@dataclass(frozen=True)
class Fuzzed:
    """`cases` that were sent; `report` is what schemathesis said, `clean` whether it found nothing."""

    cases: int
    clean: bool
    report: str


def fuzz(server: Live, collection: str, folder: Path, *, examples: int, seed: int, phases: str = PHASES) -> Fuzzed:
    """Send up to `examples` generated cases to each endpoint, besides those that cover its schema.

    The first part names things that exist wherever a path takes a name; the second leaves names to chance.
    """
    key = server.key("*", "admin")
    names = known_names(server, key, collection)
    known = "[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in names.items())
    words = ["--max-examples", str(examples), "--phases", phases]
    sent = ((known, seed), ("", seed + 1))
    parts = [_run(server, key, folder, names, [*words, "--seed", str(number)]) for names, number in sent]
    return Fuzzed(sum(one.cases for one in parts), all(one.clean for one in parts), "\n".join(p.report for p in parts))


def known_names(server: Live, key: str, collection: str) -> dict[str, str]:
    """What exists from now on, by the names of the parameters of paths."""
    with server.client(key) as client:
        body = {"description": {"summary": "a known image"}}
        client.put(f"/v1/collections/{collection}/images/{_KNOWN}", json=body).raise_for_status()
        answer = client.post(f"/v1/collections/{collection}/search", json={"query": "known"}).raise_for_status()
        job = client.post("/v1/jobs", json={"kind": "index", "collection": collection}).raise_for_status()
        client.post(f"/v1/jobs/{job.json()['job_id']}/cancel").raise_for_status()  # so that its stream ends
    names = {"collection": collection, "image_id": _KNOWN, "search_id": answer.json()["search_id"]}
    return names | {"job_id": job.json()["job_id"]}


def _run(server: Live, key: str, folder: Path, parameters: str, more: list[str]) -> Fuzzed:
    config = folder / "schemathesis.toml"
    config.write_text(parameters + _RULES.read_text())
    words = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    words += [f"{server.url}/openapi.json", "-H", f"Authorization: Bearer {key}"]  # all checks, but as the file says
    words += [*more, "--generation-database", "none"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.app.fuzzing_hooks"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) generated", done.stdout)
    return Fuzzed(int(found[1]) if found else 0, done.returncode == 0, done.stdout + done.stderr)
