"""docs/index.md and its plot, generated from the figures of bench_index."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.page_parts import save_plot, table, where
from scenes.artifact import write_file

_MIB = 2**20
_RECALL = 0.99


def at_promise(curve: Mapping[str, Mapping[str, float]], recall: float) -> dict[str, float] | None:
    """What the least effort gave that reached the recall on the queries efforts are chosen by, None where none did."""
    found = (
        (effort, one)
        for effort, one in sorted(curve.items(), key=lambda one: int(one[0]))
        if one["chosen_by"] >= recall
    )
    effort, one = next(found, (None, None))
    return None if effort is None or one is None else {"effort": int(effort)} | dict(one)


def write(folder: Path, figures: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
    """Write the page and its plot."""
    _plot(folder / "images" / "index-growth.svg", figures["cells"])
    parts = [
        _HEAD.format(where=where(machine), likeness=figures["neighbour_likeness"]),
        *map(_bar, figures["bars"]),
        _table(figures),
    ]
    parts += ["![Growth from ten thousand to a million vectors](images/index-growth.svg)", _served(figures), _HOW]
    parts += [f"Left out: {'; '.join(figures['left_out'])}."] if figures["left_out"] else []
    write_file(folder / "index.md", ("\n\n".join(parts) + "\n").encode())


def _bar(bar: Mapping[str, Any]) -> str:
    served, times = bar["served"], bar["times_the_best_as_served"]
    beside = "no peer found as much" if times is None else f"{times:.2f} times the quickest peer that finds as much"
    return (
        f"At {bar['n']:,} vectors: {bar['times_the_best_at_promise']:.2f} times the best peer's median time where each "
        f"is given the least effort for recall {_RECALL}; as tuned recall {served['recall_at_10']:.3f} in "
        f"{served['p50_ms']:.3f} ms, {beside}; "
        f"memory {100 * bar['memory_share']:.0f} % of raw fp32."
    )


def _table(figures: Mapping[str, Any]) -> str:
    titles = ("vectors", "system", "build s", "disk MiB", "anonymous MiB", "file-backed MiB", "cold start s", "effort")
    titles += ("recall@10", "p50 ms", "p99 ms")
    found = [(name, cell) for name, sizes in figures["cells"].items() for cell in sizes.values()]
    return table(titles, [_row(name, cell) for name, cell in sorted(found, key=lambda one: int(one[1]["n"]))])


def _row(name: str, cell: Mapping[str, Any]) -> list[str]:
    one = at_promise(cell["curve"], _RECALL)
    memory = [f"{cell['memory_bytes'][kind] / _MIB:,.0f}" for kind in ("anonymous", "file")]
    cells = [f"{cell['n']:,}", name, f"{cell['build_s']:.1f}", f"{cell['disk_bytes'] / _MIB:,.0f}"]
    cells += memory
    cells += [f"{cell['ready_s']:.2f}", *_reached(cell, one)]
    return cells


def _reached(cell: Mapping[str, Any], one: Mapping[str, float] | None) -> list[str]:
    if one is None:
        return ["not reached", "–", "–", "–"]
    effort = "all" if cell.get("settings", {}).get("kind") == "exact" else str(one["effort"])
    return [effort, *(f"{one[name]:.3f}" for name in ("recall_at_10", "p50_ms", "p99_ms"))]


def _served(figures: Mapping[str, Any]) -> str:
    rows = []
    for cell in figures["cells"]["wordsight"].values():
        served = [cell["as_served"][name] for name in ("k10", "k50", "k10_beside_1_percent_changed")]
        rows.append([f"{cell['n']:,}", *(f"{one['p50_ms']:.3f} · {one['p99_ms']:.3f}" for one in served)])
    return table(("as tuned, vectors", "k = 10 p50 · p99 ms", "k = 50", "k = 10, 1 % changed since"), rows)


def _plot(path: Path, cells: Mapping[str, Any]) -> None:
    panels: dict[str, Callable[[Any], float]] = {
        "build, s": lambda cell: cell["build_s"],
        "memory, MiB": lambda cell: sum(cell["memory_bytes"].values()) / _MIB,
        "p50 at recall@10 ≥ .99, ms": lambda cell: (at_promise(cell["curve"], _RECALL) or {"p50_ms": float("nan")})[
            "p50_ms"
        ],
    }
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (title, value) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name, sizes in cells.items():
            known = sorted(sizes.values(), key=lambda cell: cell["n"])
            axes.plot([cell["n"] for cell in known], [max(value(cell), 0.01) for cell in known], marker="o", label=name)
        axes.set(title=title, xlabel="vectors", xscale="log", yscale="log")
        axes.grid(visible=True, alpha=0.3)
    figure.axes[0].legend()
    save_plot(figure, path)


_HEAD = """# The index, measured

`make bench GROUPS=bench_index` writes this page. {where}; one query at a time on one thread, builds with two. Vectors
are captions as our encoder embeds them, moved by noise to where captions of other images lie (cosine {likeness:.3f});
the 400 queries are real ones. An effort is chosen on 150 of them and measured on the others."""
_HOW = """Ours is a whole snapshot as a server searches it: the graph, exact scores, what changed since and what is
hidden. Its graph holds one byte a dimension; the exact vectors stay on disk and are read row by row, so they are page
cache that the system may drop, not memory of the process. All files are dropped from the page cache before a cold
start, which verifies every checksum. Where the effort is 'all', every vector is scanned. pgvector's memory is that of
its server's processes, shared buffers included; table and graph beyond them lie in the system's page cache."""
