"""`wordsight search`: one query, in process, no server needed."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.options import CollectionOption, Json, RerankerOption
from app.cli.wiring import checked, load_encoder, load_reranking, with_catalog
from scenes.answer import Answer, Query
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.reranking.reranking import Reranking
    from scenes.catalog.connection import Catalog


def register(cli: typer.Typer) -> None:
    cli.command()(search)


def search(
    query: Annotated[str, typer.Argument(help="What the image shows, in words.")],
    collection: CollectionOption,
    k: Annotated[int, typer.Option("--k", "-k", help="How many images at most (1 to 1000).")] = 10,
    where: Annotated[str | None, typer.Option("--filter", help="Conditions as JSON.")] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", help="Search by this field of descriptions alone; repeatable.")
    ] = None,
    reranker: RerankerOption = None,
    as_json: Json = False,
) -> int:
    """Find the images of a collection that best fit the words.

    Example: wordsight search "a dog on a beach" --collection photos --reranker my-cross-encoder

    A score between 2 and 4 is a re-ranker's; others are similarities, at most 1.
    """
    asked = checked(Query, query=query, k=k, filter=_json(where), fields=tuple(field) if field else None)
    again = load_reranking(reranker)
    answer, seconds = with_catalog(lambda catalog, config: _search(catalog, config, collection, asked, again))
    output.result(as_json, answer.model_dump(mode="json") | {"seconds": round(seconds, 4)}, as_text(answer))
    return 0


def as_text(answer: Answer) -> str:
    """The answer for people, best first."""
    last = [f"{answer.pending:,} images are stored but not searchable yet"] if answer.pending else []
    if not answer.results:
        return "\n".join(["nothing matches", *last])
    head = [] if answer.matches == "some" else ["nothing like that seems to be there; these come nearest:"]
    found = [
        f"{place:>3}. {match.score:.3f}  {match.uri or match.external_id or match.image_id}\n"
        f"     {match.description.summary or match.description.detail[:160]}"
        for place, match in enumerate(answer.results, start=1)
    ]
    return "\n".join([*head, *found, *last])


async def _search(
    catalog: "Catalog", config: "Settings", name: str, query: Query, reranking: "Reranking | None"
) -> tuple[Answer, float]:
    from app.http.security import Secret
    from app.search.expiry import purge
    from app.search.service import make_service
    from scenes.catalog import collections

    async with catalog.reading() as session:
        row = await collections.get(session, name)
    secret = Secret.load(config.home, config.secret)
    service = make_service(catalog, load_encoder, config.home, secret, reranking=reranking)
    await service.retriever.encoders.of(row.settings.encoder)
    started = time.perf_counter()
    answer = await service.search(name, query)
    seconds = time.perf_counter() - started
    await purge(catalog)
    return answer, seconds


def _json(text: str | None) -> Any:
    import json

    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadInput("filter_invalid", f"--filter is not JSON: {error}") from error
