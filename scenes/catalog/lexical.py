"""The lexical index: the words that descriptions say, and how Postgres is kept from reading every text instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, text

from scenes.catalog.connection import ReadSession

PARSER: ColumnElement[Any] = literal_column("'simple'::regconfig")
_STRINGS: ColumnElement[Any] = literal_column("'\"string\"'::jsonb")


def words(body: ColumnElement[Any]) -> ColumnElement[Any]:
    """The words of a JSON value's texts as a tsvector; of a whole description, what `ix_descriptions_words` holds."""
    return func.jsonb_to_tsvector(PARSER, body, _STRINGS)


@asynccontextmanager
async def planned(session: ReadSession, **settings: str) -> AsyncIterator[None]:
    """Until the block ends, Postgres plans with these settings, afterwards with the session's own again.

    Postgres takes the words of a text for cheap to find and would look through all texts for a common word, 80 times
    slower than its own index is (measured on 5,000): so statements that need the index leave it no other way.
    """
    named = ", ".join(f"set_config('{name}', CAST(:{name} AS text), true)" for name in settings)
    change = text(f"SELECT {named}")
    await session.execute(change, settings)
    yield
    await session.execute(change, dict.fromkeys(settings))
