"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")]
RerankerOption = Annotated[
    Path | None,
    typer.Option(
        "--reranker",
        metavar="DIR",
        help="A cross-encoder's folder: it reads the query beside each of the 50 best and puts them in its own order.",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option("--engine", "-e", metavar="basic|vllm|openai", help="Captioning engine; needed once a collection."),
]
ModelOption = Annotated[str | None, typer.Option("--model", help="The engine's model; its default where left out.")]
ConsentOption = Annotated[
    bool,
    typer.Option("--consent", help="Pixels may be sent to another party (the openai engine, a server elsewhere)."),
]
EngineOptions = Annotated[
    list[str] | None, typer.Argument(metavar="[-- ENGINE OPTIONS]", help="Options for the engine, after --.")
]
