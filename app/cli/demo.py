"""`wordsight demo`: from real photographs to a working search, for newcomers."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output, stopping
from app.cli.caption_options import CaptionOptions
from app.cli.ingest import run as ingest
from app.cli.options import Json
from app.cli.wiring import load_encoder, open_catalog, settings

if TYPE_CHECKING:
    from app.search.service import SearchService

COLLECTION = "samples"
QUERIES = {
    "a cat": "data/chelsea.png",
    "a cup of coffee": "data/coffee.png",
    "a motorcycle": "data/motorcycle_left.png",
    "a flower": "datasets/images/flower.jpg",
    "a person in a military uniform": "mpl-data/sample_data/grace_hopper.jpg",
}
_ENOUGH = 4
_WHY = "engine: basic, since it needs no GPU and no server; use --engine vllm on a GPU for real captions"


def register(cli: typer.Typer) -> None:
    cli.command()(demo)


def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Serve on 127.0.0.1:8000 afterwards.")] = False,
    as_json: Json = False,
) -> int:
    """Describe the sample photographs, ask five questions, show the answers.

    Exit code 1 where fewer than four of the five find the right photograph first.
    """
    output.say(_WHY)
    answers = stopping.run(_demo())
    right = sum(answer["right"] for answer in answers)
    lines = [f"{'✓' if a['right'] else '✗'} {a['query']:<34}{a['score']:.3f}  {a['summary']}" for a in answers]
    body = {"queries": answers, "right": right, "of": len(answers)}
    output.result(as_json, body, "\n".join([*lines, f"{right} of {len(answers)} found the right photograph first"]))
    if serve:
        from app.cli.serve import serve as serve_forever

        serve_forever()
    return 0 if right >= _ENOUGH else 1


async def _demo() -> list[dict[str, Any]]:
    from app.http.security import Secret
    from app.search.service import make_service
    from captioner.pipeline.samples import copy_samples
    from scenes.identity import image_id

    config = settings()
    copied = copy_samples(config.home / "samples")
    wanted = {sample.path: image_id(path.read_bytes()) for path, sample in copied.items()}
    await ingest(str(config.home / "samples"), COLLECTION, CaptionOptions(engine="basic"))
    async with open_catalog(config) as catalog:
        secret = Secret.load(config.home, config.secret)
        service = make_service(catalog, load_encoder, config.home, secret)
        return [await _ask(service, query, wanted[path]) for query, path in QUERIES.items()]


async def _ask(service: "SearchService", query: str, wanted: str) -> dict[str, Any]:
    from scenes.answer import Query

    best = (await service.search(COLLECTION, Query(query=query, k=1))).results[0]
    return {
        "query": query,
        "right": best.image_id == wanted,
        "score": round(best.score, 4),
        "summary": best.description.summary,
        "uri": best.uri,
    }
