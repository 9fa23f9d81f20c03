"""`wordsight eval`: how well the ranker finds the right image, measured on a set of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output
from app.cli.eval_live import live_run
from app.cli.options import Json, RerankerOption
from app.cli.wiring import load_named_encoder, load_reranking, with_catalog
from scenes.errors import BadInput

if TYPE_CHECKING:
    from indexer.evaluation.composition import Composition
    from indexer.evaluation.evaluating import Evaluation


def register(cli: typer.Typer) -> None:
    cli.command("eval")(evaluate)


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="A BEIR folder: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.")],
    compositional: Annotated[
        Path | None, typer.Option(help="Minimal pairs, JSON Lines: caption, negative, kind and doc_id or document.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="A sentence-transformers folder or name; the shipped encoder if left out.")
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(help="Search this live collection; its external ids are the set's document ids."),
    ] = None,
    reranker: RerankerOption = None,
    split: Annotated[str, typer.Option(help="Which judgements: qrels/SPLIT.tsv.")] = "test",
    report: Annotated[Path | None, typer.Option(help="Write a Markdown report with plots into this folder.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="An earlier report folder: say whether the difference is significant.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Measure R@1/5/10, MRR and nDCG@10 with 95 % intervals; a tie counts as a miss.

    Example: wordsight eval my-set --compositional pairs.jsonl --report report/

    Is a cross-encoder worth its time? wordsight eval my-set --reranker my-cross-encoder --against report/
    """
    from indexer.evaluation.composition import read_composition
    from indexer.evaluation.dataset import read_beir
    from indexer.evaluation.evaluating import evaluate as run
    from indexer.evaluation.evaluating import summarised
    from indexer.evaluation.report import compared, write_report
    from indexer.retrieval.ranking import Ranking

    read, again = read_beir(dataset, split), load_reranking(reranker)
    if collection is not None:
        _refuse_beside(collection, encoder=encoder, compositional=compositional)
        with output.progress("searching") as tick:
            ranked = with_catalog(lambda catalog, config: live_run(catalog, config, collection, read, tick, again))
        found = summarised(read, ranked, None, again)
    else:
        pairs = read_composition(compositional, read) if compositional else None
        with output.progress("embedding") as tick:
            found = run(read, load_named_encoder(encoder), Ranking(), pairs, tick, again)
    difference = compared(found, against) if against else None
    if report:
        write_report(report, found, difference)
    output.result(as_json, as_json_object(found) | ({"against": difference} if difference else {}), as_text(found))
    return 0


def _refuse_beside(collection: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise BadInput(
                "options_exclusive",
                f"--{name} can't be given beside --collection: {collection!r} has its own encoder and descriptions",
                fix=f"leave --{name} out",
            )


def as_json_object(found: "Evaluation") -> dict[str, Any]:
    """The keys of the contract, with the intervals beside them."""
    measures = {name: round(one.mean, 4) for name, one in found.measures.items()}
    intervals = {name: [round(one.low, 4), round(one.high, 4)] for name, one in found.measures.items()}
    composition = None if found.composition is None else _kinds(found.composition)
    head = {"dataset": found.dataset, "documents": found.documents, "queries": found.queries}
    head |= {"reranker": found.reranker}
    spread = None if found.composition is None else _kind_intervals(found.composition)
    return head | measures | {"intervals": intervals, "compositional": composition, "compositional_intervals": spread}


def as_text(found: "Evaluation") -> str:
    """The same for people."""
    lines = [f"{found.dataset}: {found.queries} queries over {found.documents} descriptions"]
    lines += [f"the best 50 re-ranked by {found.reranker}"] if found.reranker else []
    lines += [f"  {name:<10} {one.mean:.3f}  [{one.low:.3f}, {one.high:.3f}]" for name, one in found.measures.items()]
    if found.composition is not None:
        lines.append("composition (chance 0.500)")
        shown = {**found.composition.kinds, "blind": found.composition.blind}
        lines += [f"  {name:<12} {one.mean:.3f}  [{one.low:.3f}, {one.high:.3f}]" for name, one in shown.items()]
    return "\n".join(lines)


def _kinds(found: "Composition") -> dict[str, float]:
    kinds = {name: round(one.mean, 4) for name, one in found.kinds.items()}
    return {"all": kinds.pop("all"), "blind": round(found.blind.mean, 4)} | kinds


def _kind_intervals(found: "Composition") -> dict[str, list[float]]:
    shown = {**found.kinds, "blind": found.blind}
    return {name: [round(one.low, 4), round(one.high, 4)] for name, one in shown.items()}
