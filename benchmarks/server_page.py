"""docs/server.md and its plot, from the recorded results; written after every run of groups."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure

from benchmarks.recording import RESULTS, ROOT
from scenes.artifact import write_file

_LEVELS = ("1", "8", "32")
_SERVERS = {
    "ours": "wordsight, everything on",
    "thirty_lines": "thirty lines, torch on its own threads",
    "thirty_lines_one_thread": "thirty lines, one torch thread",
    "pgvector": "FastAPI and pgvector",
    "txtai": "txtai's server",
}
_COLOURS = ("#1f6f5c", "#c9c3b4", "#b3ac9a", "#8f8a7c", "#6d6a62")
_HEAD = """# The server, measured

Written from `benchmarks/results/` by `make bench` and `make test-long`; each file there names the code it measured.
{where}; the load generator and Postgres share the machine."""
_PACE = """## Pace

The same model, the same {documents:,} descriptions, the same closed loop, and no query asked twice. Ours checks a key,
counts, ranks by words and stores every search; the others embed, search and answer. Searches a second (p50 · p99 in
milliseconds):"""
_ALONE = """Ours is {times} times the better of the thirty lines at 1, 8 and 32 at once. {overlap:.4f} of its ten
best are those of torch in fp32 with exact search. The encoder alone, without HTTP, in batches of 32 on both
cores: {alone:,.0f} queries a second, of which the server at 32 reaches {share:.0%}: at that pace HTTP, ranking
by words, the index and the stored search cost more than the encoder does. The bar of 65 % is missed."""
_OBSERVED = """## Being observed

Time of a search with metrics and the error log (what `wordsight serve` does by default), with a line a request, and
with traces as well, as a multiple of the same search without any, with its 95 % interval:"""
_OVERLOAD = """## Overload

An open loop at twice the peak for {minutes:.0f} minutes, the server on one core and the generator on the other.
Peak {peak:.0f} searches a second. Accepted {accepted:.0f} ({share:.0%} of the peak), refused with 429 and
Retry-After the rest: {refused:,} of {offered:,} arrivals; no other answer, {broken} without any. p99 of the
accepted {p99:.0f} ms, {times} times that at half load ({half:.0f} ms). Memory {first:.0f} MiB at the start and
{last:.0f} MiB at the end. p99 at half load afterwards: {after:.0f} ms."""
_NO_OVERLOAD = """## Overload

Not recorded yet: `make bench GROUPS=bench_server_overload` takes thirteen minutes."""
_TRUE = """## Staying true

- {cases:,} generated requests with every check of schemathesis on: {errors} server errors, {violations} schema
  violations (`make test-long GROUPS=long_server_fuzzing`). The check that created things can be got back is off for
  `/v1/jobs/` alone: a job goes with its collection.
- {processes} server processes, {searches:,} searches during {published} publishes and {deleted} deletes: {inconsistent}
  answers inconsistent beyond the {bound:.0f} ms that a change may take to be seen, {different} different between
  processes when quiet (`make test-long GROUPS=long_server_processes`).
- {kills} kills of job workers while images were described: {acknowledged} acknowledged jobs, {lost} lost, {doubled}
  doubled (`make test-long GROUPS=long_job_kills`). Killing Postgres, a server process or the captioner's server under
  load is part of `make test`."""


def main() -> None:
    write(ROOT / "docs")


def write(folder: Path) -> None:
    """Write the page and its plot."""
    _plot(folder / "images" / "server-pace.svg", _figures("bench_server"))
    write_file(folder / "server.md", page().encode())


def page() -> str:
    """The page's Markdown."""
    body = json.loads((RESULTS / "bench_server.json").read_text())
    machine = body["machine"]
    where = f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB"
    parts = [_HEAD.format(where=where), _pace(body["figures"]), _observed(), _overload(), _true()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _pace(figures: Mapping[str, Any]) -> str:
    rows = [f"| {told} | {_cells(figures[name])} |" for name, told in _SERVERS.items() if name in figures]
    table = "\n".join(["| server | 1 at once | 8 at once | 32 at once |", "|" + " --- |" * 4, *rows])
    times = [f"{figures['ours'][level]['per_second'] / _thirty(figures, level):.2f}" for level in _LEVELS]
    alone = _ALONE.format(
        times=f"{', '.join(times[:-1])} and {times[-1]}",
        overlap=figures["top10_overlap"],
        alone=figures["encoder_alone_batches"],
        share=figures["ours"]["32"]["per_second"] / figures["encoder_alone_batches"],
    )
    plot = "![Searches a second at 1, 8 and 32 at once](images/server-pace.svg)"
    return "\n\n".join([_PACE.format(documents=figures["documents"]), table, plot, alone])


def _thirty(figures: Mapping[str, Any], level: str) -> float:
    return max(float(figures[name][level]["per_second"]) for name in ("thirty_lines", "thirty_lines_one_thread"))


def _cells(levels: Mapping[str, Mapping[str, float]]) -> str:
    cells = (levels[level] for level in _LEVELS)
    return " | ".join(f"**{one['per_second']:.0f}** ({one['p50_ms']:.1f} · {one['p99_ms']:.1f})" for one in cells)


def _observed() -> str:
    figures = _figures("bench_observability")
    names = ("default", "logged", "traced")
    rows = [f"| {level} | {' | '.join(_times(figures[level][name]) for name in names)} |" for level in ("1", "16")]
    head = ["| at once | metrics and error log | a line a request | traces too |", "|" + " --- |" * 4]
    return "\n\n".join([_OBSERVED, "\n".join([*head, *rows])])


def _times(one: Mapping[str, Any]) -> str:
    low, high = one["interval_95"]
    return f"{one['times_off']:.3f} ({low:.2f} to {high:.2f})"


def _overload() -> str:
    if not (RESULTS / "bench_server_overload.json").is_file():
        return _NO_OVERLOAD
    figures = _figures("bench_server_overload")
    over, half, memory = figures["steps"]["overload"], figures["steps"]["half"], figures["memory"]
    return _OVERLOAD.format(
        minutes=figures["seconds"] / 60,
        peak=figures["peak_per_second"],
        accepted=over["accepted_per_second"],
        share=figures["share_of_peak"],
        refused=over["statuses"].get("429", 0),
        offered=sum(over["statuses"].values()) + over["broken"],
        broken=over["broken"],
        p99=over["p99_ms"],
        times=figures["times_p99_of_half"],
        half=half["p99_ms"],
        first=memory["first_mib"],
        last=memory["last_mib"],
        after=figures["steps"]["after"]["p99_ms"],
    )


def _true() -> str:
    fuzzed, processes, jobs = (
        _figures(name) for name in ("long_server_fuzzing", "long_server_processes", "long_job_kills")
    )
    return _TRUE.format(
        cases=fuzzed["cases"],
        errors=fuzzed["server_errors"],
        violations=fuzzed["schema_violations"],
        processes=processes["processes"],
        searches=processes["searches"],
        published=processes["published"],
        deleted=processes["deleted"],
        inconsistent=processes["inconsistent"],
        bound=1_000 * processes["bound_s"],
        different=processes["different_when_quiet"],
        **{name: jobs[name] for name in ("kills", "acknowledged", "lost", "doubled")},
    )


def _plot(path: Path, figures: Mapping[str, Any]) -> None:
    rcParams["svg.hashsalt"] = "wordsight"
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    names = [name for name in _SERVERS if name in figures]
    for place, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        heights = [figures[name][level]["per_second"] for level in _LEVELS]
        middles = [level + (place - (len(names) - 1) / 2) * 0.16 for level in range(len(_LEVELS))]
        bars = axes.bar(middles, heights, 0.15, color=colour, label=_SERVERS[name])
        axes.bar_label(bars, [f"{height:.0f}" for height in heights], padding=2, fontsize=7)
    axes.set_xticks(range(len(_LEVELS)), [f"{level} at once" for level in _LEVELS])
    axes.set_ylabel("searches a second")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _figures(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text())["figures"])


if __name__ == "__main__":
    main()
