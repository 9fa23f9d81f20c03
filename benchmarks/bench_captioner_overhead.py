"""Pipeline overhead against a scripted server at concurrency 32: images/s of a whole `caption` run over images/s of
thirty lines of httpx that send the same decoded images, the median of alternating pairs with its interval.

The server answers after `LATENCY_S`, as a vision model would; both sides encode pictures and parse replies.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from PIL import Image

from benchmarks import recording
from captioner.batches.folder import BatchFolder
from captioner.engines.engine import Picture, Request
from captioner.engines.openai import OpenAIDescriber, Server, chat_body
from captioner.pipeline.reading import READ_AHEAD
from captioner.pipeline.run import caption
from captioner.sources import items
from scenes.recipe import CaptionRecipe

MEASURED = ("captioner",)
IMAGES, PAIRS, CONCURRENCY, LATENCY_S, SEED = 256, 9, 32, 1.0, 20
BAR = 0.95
_RECIPE = CaptionRecipe(engine="openai", model="scripted", prompt="scene-1")


def main() -> None:
    """Measure, record, and raise `AssertionError` where the bar is missed."""
    words = [sys.executable, "-m", "tests.captioner.scripted_server", "--latency", str(LATENCY_S)]
    words += ["--says", '{"summary": "A field.", "objects": [{"name": "field"}]}']
    with (
        subprocess.Popen(words, cwd=recording.ROOT, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"  # type: ignore[union-attr]
        try:
            source = _images(Path(folder) / "in")
            pairs = [_pair(source, Path(folder) / f"out-{n}", url, n) for n in range(PAIRS)]
        finally:
            server.kill()
    ratios = sorted(piped / bare for piped, bare in pairs)
    median = statistics.median(ratios)
    figures = {
        "ratio": median,
        "interval": [ratios[1], ratios[-2]],
        "images_a_second": statistics.median(piped for piped, _ in pairs),
        "bare_images_a_second": statistics.median(bare for _, bare in pairs),
        "pairs": pairs,
        "settings": {"images": IMAGES, "concurrency": CONCURRENCY, "latency_s": LATENCY_S, "read_ahead": READ_AHEAD},
    }
    recording.record("bench_captioner_overhead", figures, measured=MEASURED, seed=SEED)
    print(f"{median:.3f} of the bare client, {ratios[1]:.3f} to {ratios[-2]:.3f} over {PAIRS} pairs")
    if median < BAR:
        raise AssertionError(f"{median:.3f} of the bare client, under {BAR}")


def _pair(source: Path, out: Path, url: str, n: int) -> tuple[float, float]:
    """Images/s of the pipeline and of the bare client, in alternating order."""
    if n % 2:
        bare = _bare(source, url)
        return _piped(source, out, url), bare
    return _piped(source, out, url), _bare(source, url)


def _piped(source: Path, out: Path, url: str) -> float:
    describer = OpenAIDescriber(Server(url, None, concurrency=CONCURRENCY), _RECIPE)
    try:
        started = time.perf_counter()
        tally = caption(items(str(source)), describer, BatchFolder.for_recipe(out, _RECIPE))
        seconds = time.perf_counter() - started
    finally:
        describer.close()
    if tally.described != IMAGES:
        raise AssertionError(f"only {tally.described} of {IMAGES} described")
    return IMAGES / seconds


def _bare(source: Path, url: str) -> float:
    pictures = [Picture("0" * 64, Image.open(path).convert("RGB")) for path in sorted(source.iterdir())]
    started = time.perf_counter()
    asyncio.run(_send(pictures, url))
    return len(pictures) / (time.perf_counter() - started)


async def _send(pictures: list[Picture], url: str) -> None:
    limit = asyncio.Semaphore(CONCURRENCY)
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:

        async def one(picture: Picture) -> None:
            async with limit:
                body = await asyncio.to_thread(chat_body, "scripted", Request(picture, _RECIPE.sampling))
                answer = await client.post("chat/completions", json=body)
                answer.raise_for_status().json()

        await asyncio.gather(*(one(picture) for picture in pictures))


def _images(folder: Path) -> Path:
    chance = random.Random(SEED)
    folder.mkdir()
    for n in range(IMAGES):
        colour = n.to_bytes(2, "big") + chance.randbytes(1)
        Image.new("RGB", (320, 240), tuple(colour)).save(folder / f"{n:03}.png")
    return folder


if __name__ == "__main__":
    main()
