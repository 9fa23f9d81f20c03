"""docs/server.md and its plot, from the recorded results; written after every run of groups."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.page_parts import save_plot, table, where
from benchmarks.recording import RESULTS, ROOT, bars_missed
from scenes.artifact import write_file

_LEVELS = ("1", "8", "32")
_SERVERS = {
    "ours": "wordsight, everything on, a process for each core",
    "ours_one_process": "the same in one process, the default",
    "ours_fp32": "wordsight in fp32, a process for each core",
    "thirty_lines": "thirty lines, torch on its own threads",
    "thirty_lines_one_thread": "thirty lines, one torch thread",
    "thirty_lines_process_a_core": "thirty lines, one torch thread, a process for each core",
    "pgvector": "FastAPI and pgvector",
    "txtai": "txtai's server",
    "fastapi_nothing": "FastAPI that searches nothing",
}
_PLOTTED = ("ours", "ours_one_process", "thirty_lines", "thirty_lines_process_a_core", "pgvector", "txtai")
_COLOURS = ("#1f6f5c", "#63a592", "#c9c3b4", "#b3ac9a", "#8f8a7c", "#6d6a62")
_HEAD = """# The server, measured

Written from `benchmarks/results/` by `make bench` and `make test-long`; each file there names the code it measured.
{where}; the load generator and Postgres share the machine."""
_PACE = """## Pace

The same model, the same {documents:,} descriptions, the same closed loop, and no query asked twice. Ours checks a key,
counts, ranks by words and stores every search; the others embed, search and answer. Searches a second (p50 · p99 in
milliseconds):"""
_ALONE = """Ours with a process for each core is {times} times the better of the thirty lines, as they
would be written, at 1, 8 and 32 at once. {overlap:.4f} of its ten best are those of torch in fp32 with exact search.
`wordsight serve --workers N` starts N processes; one is the default, as it needs less memory and sees at once what was
written to it. Queries are computed in fp32 where the processor has no bf16, or where
`WORDSIGHT_ENCODER_RUNTIME=fp32` says so.

The same encoder alone, without HTTP, and which share of its queries the server answers as searches at 32 at once. The
bar of 65 % is held against 32 callers that share batches: they leave as much to batch as the server's do. Full batches
are what the encoder does where nobody waits for an answer:

{alone}

FastAPI that reads a question and writes ten texts, without key, search or store, answers {nothing:,.0f} a second at 32
at once: what a search costs beside the encoder is ranking by words, evidence, and being stored, not the framework.

{judged}"""
_OBSERVED = """## Being observed

Time of a search with metrics and the error log (what `wordsight serve` does by default), with a line a request, and
with traces of a twentieth of all requests besides (where they are asked for), as a multiple of the same search without
any, with its 95 % interval:"""
_OVERLOAD = """## Overload

An open loop at twice the peak for {minutes:.0f} minutes, the server on one core and the generator on the other, in
{rounds} rounds; the peak is sought again before and after each. Peak {peak:.0f} searches a second. Accepted
{over[accepted_per_second]:.0f} ({share:.0%} of the peak), refused with 429 and Retry-After the rest: {refused:,} of
{answered:,} answers; {over[broken]} without any. p99 of the accepted {over[p99_ms]:.0f} ms in the worst round, {times}
times that at half load ({half[p99_ms]:.0f} ms). Memory {memory[first_mib]:.0f} MiB at the start and
{memory[last_mib]:.0f} MiB at the end. p99 at half load afterwards: {after[p99_ms]:.0f} ms.

{judged}"""
_TRUE = """## Staying true

- {fuzzed[cases]:,} generated requests with every check of schemathesis on: {fuzzed[server_errors]} server errors,
  {fuzzed[schema_violations]} schema violations (`make test-long GROUPS=long_server_fuzzing`). The check that created
  things can be got back is off for `/v1/jobs/` alone: a job goes with its collection.
- {many[processes]} server processes, {many[searches]:,} searches during {many[published]} publishes and {many[deleted]}
  deletes: {many[inconsistent]} answers inconsistent beyond the {bound:.0f} ms that a change may take to be seen,
  {many[different_when_quiet]} different between processes when quiet (`make test-long GROUPS=long_server_processes`).
- {jobs[kills]} kills of job workers while images were described: {jobs[acknowledged]} acknowledged jobs, {jobs[lost]}
  lost, {jobs[doubled]} doubled (`make test-long GROUPS=long_job_kills`). Killing Postgres, a server process or the
  captioner's server under load is part of `make test`."""


def write(folder: Path) -> None:
    """Write the page and its plot."""
    _plot(folder / "images" / "server-pace.svg", _figures("bench_server"))
    write_file(folder / "server.md", page().encode())


def page() -> str:
    """The page's Markdown."""
    body = json.loads((RESULTS / "bench_server.json").read_text())
    parts = [_HEAD.format(where=where(body["machine"])), _pace(body["figures"]), _observed(), _overload(), _true()]
    return "\n\n".join(parts) + "\n"


def _judged(name: str) -> str:
    missed = bars_missed(name)
    return f"Bars missed: {'; '.join(missed)}." if missed else "Every bar is met."


def _pace(figures: Mapping[str, Any]) -> str:
    rows = [(told, *_cells(figures[name])) for name, told in _SERVERS.items() if name in figures]
    paces = table(("server", *(f"{level} at once" for level in _LEVELS)), rows)
    times = [f"{figures['ours'][level]['per_second'] / _thirty(figures, level):.2f}" for level in _LEVELS]
    alone = _ALONE.format(
        times=f"{', '.join(times[:-1])} and {times[-1]}",
        overlap=figures["top10_overlap"],
        alone=_alone(figures),
        nothing=figures["fastapi_nothing"]["32"]["per_second"],
        judged=_judged("bench_server"),
    )
    plot = "![Searches a second at 1, 8 and 32 at once](images/server-pace.svg)"
    return "\n\n".join([_PACE.format(documents=figures["documents"]), paces, plot, alone])


def _alone(figures: Mapping[str, Any]) -> str:
    told = (("as it serves here", "encoder_alone", "ours"), ("fp32", "encoder_alone_fp32", "ours_fp32"))
    rows = [(name, *_shares(figures[alone], figures[ours]["32"]["per_second"])) for name, alone, ours in told]
    return table(("precision", "full batches, all cores", "32 callers that share batches"), rows)


def _shares(alone: Mapping[str, float], searches: float) -> list[str]:
    return [f"{alone[way]:,.0f} queries a second ({searches / alone[way]:.0%})" for way in ("batches", "at_32")]


def _thirty(figures: Mapping[str, Any], level: str) -> float:
    return max(float(figures[name][level]["per_second"]) for name in ("thirty_lines", "thirty_lines_one_thread"))


def _cells(levels: Mapping[str, Mapping[str, float]]) -> list[str]:
    cells = (levels[level] for level in _LEVELS)
    return [f"**{one['per_second']:.0f}** ({one['p50_ms']:.1f} · {one['p99_ms']:.1f})" for one in cells]


def _observed() -> str:
    figures = _figures("bench_observability")
    names = ("default", "logged", "traced")
    rows = [(level, *(_times(figures[level][name]) for name in names)) for level in ("1", "16")]
    times = table(("at once", "metrics and error log", "a line a request", "traces too"), rows)
    return "\n\n".join([_OBSERVED, times, _judged("bench_observability")])


def _times(one: Mapping[str, Any]) -> str:
    low, high = one["interval_95"]
    return f"{one['times_off']:.3f} ({low:.2f} to {high:.2f})"


def _overload() -> str:
    figures = _figures("bench_server_overload")
    statuses = figures["steps"]["overload"]["statuses"]
    return _OVERLOAD.format(
        minutes=figures["seconds"] / 60,
        rounds=len(figures["rounds"]),
        peak=figures["peak_per_second"],
        share=figures["share_of_peak"],
        times=figures["times_p99_of_half"],
        refused=statuses.get("429", 0),
        answered=sum(statuses.values()),
        memory=figures["memory"],
        over=figures["steps"]["overload"],
        half=figures["steps"]["half"],
        after=figures["steps"]["after"],
        judged=_judged("bench_server_overload"),
    )


def _true() -> str:
    many = _figures("long_server_processes")
    fuzzed, jobs = _figures("long_server_fuzzing"), _figures("long_job_kills")
    return _TRUE.format(fuzzed=fuzzed, many=many, jobs=jobs, bound=1_000 * many["bound_s"])


def _plot(path: Path, figures: Mapping[str, Any]) -> None:
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    names = [name for name in _PLOTTED if name in figures]
    for place, (name, colour) in enumerate(zip(names, _COLOURS, strict=False)):
        heights = [figures[name][level]["per_second"] for level in _LEVELS]
        middles = [level + (place - (len(names) - 1) / 2) * 0.14 for level in range(len(_LEVELS))]
        bars = axes.bar(middles, heights, 0.13, color=colour, label=_SERVERS[name])
        axes.bar_label(bars, [f"{height:.0f}" for height in heights], padding=2, fontsize=7)
    axes.set_xticks(range(len(_LEVELS)), [f"{level} at once" for level in _LEVELS])
    axes.set_ylabel("searches a second")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    save_plot(figure, path)


def _figures(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text())["figures"])


if __name__ == "__main__":
    write(ROOT / "docs")
