"""Retrieval sets (BEIR) as tests write them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_set(
    folder: Path, corpus: Iterable[Mapping[str, object]], queries: Iterable[Mapping[str, object]], qrels: str
) -> Path:
    """A set in a folder, over one that is there; `qrels` are its lines behind the heading."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, lines in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}")
    return folder
