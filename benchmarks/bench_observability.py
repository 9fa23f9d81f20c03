"""What being observed costs a search: one app with its instruments and without, in turn.

It answers distinct queries, none of them twice, no network between: `off` while metrics count nothing and no search is
sampled for recall; `off_again` just so, to tell how much is noise; `default` as it is started; `logged` with a line for
every request besides; `traced`, behind a door of its own, with OpenTelemetry spans of the usual share of requests sent
to a collector, which nobody has who does not ask for it. All take their turn in every round, in an order drawn for it;
a round gives each one's time on the cores as a ratio to the mean of `off` and `off_again`, and the median is judged.
One search at a time is noisier, and has more rounds for it.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.observed import SIDES, WARM_ROUNDS, ObservedPlan
from benchmarks.servers import AS_SERVED, imported, loaded, served
from indexer.evaluation.synthetic_corpus import corpus
from scenes.catalog.embedded import postgres

NAME = "bench_observability"
MEASURED = (
    "app",
    "indexer",
    "scenes",
    "benchmarks/bench_observability.py",
    "benchmarks/observed.py",
    "benchmarks/servers.py",
)
SEED = 20_261_126
ROUNDS = {1: 401, 16: 151}
ASKED = {1: 24, 16: 128}
"""Rounds, and searches a turn, by how many are under way at once."""
BAR = 1.03
JUDGED = ("default", "logged", "traced")


def main() -> None:
    """Raises `AssertionError` where the bar is missed, after the figures were recorded."""
    texts = corpus(1_278, sum((ROUNDS[level] + WARM_ROUNDS) * len(SIDES) * ASKED[level] for level in ASKED), SEED)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir(mode=0o755)
        with postgres(home, None) as url, served("sink", os.environ, "/") as collector:
            there = {"WORDSIGHT_HOME": str(home), "DATABASE_URL": url.replace("+psycopg", "")}
            imported(os.environ | there, home, texts.documents, "bench")
            spans = f"http://127.0.0.1:{collector}/v1/traces"
            levels = {str(level): (ROUNDS[level], ASKED[level]) for level in ASKED}
            plan = ObservedPlan(there, spans, texts.queries, levels, SEED)
            figures = dict(loaded("benchmarks.observed", plan, settings=AS_SERVED))
    figures |= {"rounds": ROUNDS, "searches_a_turn": ASKED, "bar": BAR, "judged": JUDGED, "load": os.getloadavg()}
    figures["missed"] = missed(figures)
    print(json.dumps(figures, indent=1))
    recording.record(NAME, figures, measured=MEASURED, seed=SEED)
    assert not figures["missed"], figures["missed"]


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Which bars are not reached."""
    return [
        f"{name} at {level}: {figures[str(level)][name]['times_off']} instead of {BAR}"
        for level in ASKED
        for name in JUDGED
        if figures[str(level)][name]["times_off"] > BAR
    ]


if __name__ == "__main__":
    main()
