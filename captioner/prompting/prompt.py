"""Prompts are files with versions: `prompts/NAME.md`. A changed prompt is a new name."""

from functools import cache
from pathlib import Path
from typing import Any

from scenes.description import SceneDescription

DEFAULT_PROMPT = "scene-1"


@cache
def prompt(name: str = DEFAULT_PROMPT) -> str:
    """The text of a prompt."""
    return (Path(__file__).parent / "prompts" / f"{name}.md").read_text().strip()


@cache
def reply_schema() -> dict[str, Any]:
    """The JSON Schema that a reply is constrained to: that of a description, every field to be answered."""
    schema = SceneDescription.model_json_schema()
    for body in (schema, *schema["$defs"].values()):
        if body.get("type") == "object":
            body["required"] = list(body["properties"])
    return schema
