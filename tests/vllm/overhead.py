"""Images/s of the pipeline over images/s of one bare `LLM.chat` on the same decoded images, same engine and sampling.

`python -m tests.vllm.overhead FILE PAIRS` (in vLLM's own environment) measures alternating pairs and writes them as
JSON. Both sides use one engine, in a process of its own as by default; its caches of prefixes and pictures are off, so
that no side profits from the other; the images are some whose first reply counts, so that both do the same work. The
pipeline reads and decodes the files, checks replies and writes batches; the bare call is given decoded images and
drops the replies.
"""

import json
import os
import random
import sys
import tempfile
import time
from itertools import compress
from pathlib import Path
from typing import Any

from PIL import Image

from captioner.batches.folder import BatchFolder
from captioner.engines import vllm
from captioner.engines.engine import Request
from captioner.engines.vllm import VllmDescriber
from captioner.images.decoding import Decoded, Wanted, decode
from captioner.pipeline.run import caption
from captioner.prompting.replies import check
from captioner.sources import items
from scenes.description import SceneDescription
from scenes.recipe import CaptionRecipe, Sampling
from tests.vllm.engine import SETTINGS
from tests.vllm.tiny_model import build

POOL, IMAGES, SIDE, SEED, MAX_TOKENS = 200, 128, 320, 20, 600
RECIPE = CaptionRecipe(engine="vllm", model="tiny", prompt="scene-1", sampling=Sampling(max_tokens=MAX_TOKENS))


def main(file: str, pairs: int) -> None:
    os.environ.update(SETTINGS | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"})
    with tempfile.TemporaryDirectory(prefix="wordsight-overhead-") as name:
        folder = Path(name)
        llm = _started(build(folder / "tiny", brief=True))
        describer = VllmDescriber(lambda: llm, RECIPE)
        source = _images(folder / "in", llm)
        _piped(source, folder / "warm", describer)
        told = [_pair(source, folder / f"out-{n}", describer, llm, n) for n in range(pairs)]
    Path(file).write_text(json.dumps({"pairs": told, "images": IMAGES, "side_px": SIDE, "max_tokens": MAX_TOKENS}))


def _pair(source: Path, out: Path, describer: VllmDescriber, llm: Any, n: int) -> tuple[float, float]:
    """Images/s of the pipeline and of the bare call, in alternating order."""
    if n % 2:
        bare = _bare(source, llm)
        pair = _piped(source, out, describer), bare
    else:
        pair = _piped(source, out, describer), _bare(source, llm)
    print(f"{pair[0]:.3f} {pair[1]:.3f} {pair[0] / pair[1]:.3f}", flush=True)
    return pair


def _piped(source: Path, out: Path, describer: VllmDescriber) -> float:
    started = time.perf_counter()
    tally = caption(items(str(source)), describer, BatchFolder.for_recipe(out, RECIPE))
    seconds = time.perf_counter() - started
    if tally.described != IMAGES or sum(attempt * n for (attempt, _), n in tally.attempts.items()) > IMAGES + 1:
        raise AssertionError(f"{tally.attempts} of {IMAGES} images")
    return IMAGES / seconds


def _bare(source: Path, llm: Any) -> float:
    decoded = [decode("0" * 64, path.read_bytes(), Wanted(RECIPE.max_side_px)) for path in sorted(source.iterdir())]
    asked = [_chat(one) for one in decoded if isinstance(one, Decoded)]
    messages, parameters = zip(*asked, strict=True)
    started = time.perf_counter()
    outputs = llm.chat(list(messages), list(parameters), use_tqdm=False)
    seconds = time.perf_counter() - started
    if len(outputs) != IMAGES:
        raise AssertionError(f"{len(outputs)} of {IMAGES} images")
    return IMAGES / seconds


def _chat(decoded: Decoded) -> tuple[Any, Any]:
    request = Request(decoded.picture, RECIPE.sampling)
    return vllm._messages(request), vllm._parameters(request)


def _started(model: Path) -> Any:
    from vllm import LLM

    return LLM(
        model=str(model), enforce_eager=True, dtype="float32", max_model_len=4096, max_num_seqs=8,
        limit_mm_per_prompt={"image": 1}, enable_prefix_caching=False,
        mm_processor_cache_gb=0, structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
    )  # fmt: skip


def _images(folder: Path, llm: Any) -> Path:
    """Files of pictures whose first reply counts."""
    chance = random.Random(SEED)
    folder.mkdir()
    for n in range(POOL):
        small = Image.frombytes("RGB", (16, 12), chance.randbytes(16 * 12 * 3))
        small.resize((SIDE, SIDE * 3 // 4), Image.Resampling.BICUBIC).save(folder / f"{n:03}.jpg", quality=90)
    paths = sorted(folder.iterdir())
    decoded = [decode("0" * 64, path.read_bytes(), Wanted(RECIPE.max_side_px)) for path in paths]
    asked = [_chat(one) for one in decoded if isinstance(one, Decoded)]
    outputs = llm.chat([one[0] for one in asked], [one[1] for one in asked], use_tqdm=False)
    fit = [isinstance(check(vllm._reply(output, 0.0)), SceneDescription) for output in outputs]
    for path in [path for path, good in zip(paths, fit, strict=True) if not good] + list(compress(paths, fit))[IMAGES:]:
        path.unlink()
    return folder


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
