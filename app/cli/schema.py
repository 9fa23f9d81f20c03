"""`wordsight schema`: the published JSON Schema of a scene description."""

import json

import typer

from app.cli import output
from app.cli.options import Json


def register(cli: typer.Typer) -> None:
    cli.command()(schema)


def schema(as_json: Json = False) -> None:
    """Print the JSON Schema of a scene description."""
    from scenes.description import json_schema

    body = json_schema()
    output.result(as_json, body, json.dumps(body, indent=2))
