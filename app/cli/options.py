"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")]
