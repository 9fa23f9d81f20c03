"""Filters as SQL: each condition is one JSON path, in lax mode, that an index on the column can answer."""

import json
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, and_, cast, func, literal, not_, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH

from scenes.catalog.bulk import is_one_of
from scenes.catalog.connection import ReadSession
from scenes.catalog.lexical import PARSER, planned, words
from scenes.catalog.tables import descriptions, images
from scenes.filtering import Absent, AllOf, AnyOf, Filter, IsOneOf, Not, Path, Says, Within, asks_for_words

_BY_INDEX = dict.fromkeys(("enable_seqscan", "enable_indexscan", "enable_nestloop", "enable_mergejoin"), "off")
_COLUMNS = {"metadata": images.c.metadata, "description": descriptions.c.body}
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


async def passing(
    session: ReadSession,
    collection_id: int,
    asked: Filter,
    *,
    among: NDArray[np.int64] | None = None,
    limit: int | None = None,
) -> NDArray[np.int64]:
    """Rows of images that pass, int64 (n,), ascending; at most `limit`, only `among` these rows where given."""
    found = _passing(collection_id, asked).order_by(images.c.id).limit(limit)
    if among is not None:
        found = found.where(is_one_of(images.c.id, among.tolist()))
    async with planned(session, **_BY_INDEX) if among is None and asks_for_words(asked) else nullcontext():
        return np.array([row for (row,) in await session.execute(found)], dtype=np.int64)


def _passing(collection_id: int, asked: Filter) -> Select[tuple[int]]:
    joined = select(images.c.id).join(descriptions, descriptions.c.id == images.c.description_id)
    return joined.where(images.c.collection_id == collection_id, _condition(asked))


def _condition(asked: Filter) -> ColumnElement[bool]:
    match asked:
        case IsOneOf(path, values):
            return _has_scalar(path, " || ".join(f"@ == {json.dumps(value)}" for value in values))
        case Within(path, bounds):
            return _has_scalar(path, " && ".join(f"@ {_SIGNS[name]} {json.dumps(value)}" for name, value in bounds))
        case Says(path, said):
            return _says(path, said)
        case Absent(path):
            return _is_not(_has(path, '@.type() != "null"'))
        case Not(part):
            return _is_not(_condition(part))
        case AllOf(parts) | AnyOf(parts):
            together = and_ if isinstance(asked, AllOf) else or_
            return together(*map(_condition, parts))


def _has_scalar(path: Path, test: str) -> ColumnElement[bool]:
    """Comparisons in lax mode open a list of their own accord: a list within a list must not pass for its element."""
    return _has(path, f'@.type() != "array" && ({test})')


def _has(path: Path, test: str) -> ColumnElement[bool]:
    steps = "".join(f".{json.dumps(step)}" for step in path[1:])
    where = cast(literal(f"lax ${steps} ? ({test})"), JSONPATH)
    found: ColumnElement[bool] = _COLUMNS[path[0]].op("@?", is_comparison=True)(where)
    return found


def _says(path: Path, said: str) -> ColumnElement[bool]:
    """The index knows whole descriptions; of a field, those that say the words anywhere are looked at once more."""
    wanted = func.phraseto_tsquery(PARSER, said)
    anywhere = words(descriptions.c.body).op("@@", is_comparison=True)(wanted)
    if len(path) == 1:
        return anywhere
    steps = "".join(f".{json.dumps(step)}" for step in path[1:])
    values = func.jsonb_path_query_array(descriptions.c.body, cast(literal(f"lax ${steps}"), JSONPATH))
    return and_(anywhere, words(values).op("@@", is_comparison=True)(wanted))


def _is_not(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return not_(func.coalesce(condition, literal(False)))
