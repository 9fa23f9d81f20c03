"""Many rows in one parameter: no statement grows with its rows, and 65,535 parameters are all that Postgres takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, ColumnClause, ColumnElement, TableValuedAlias, Text, any_, bindparam, cast, func, literal
from sqlalchemy.dialects.postgresql import ARRAY

Values = Sequence[str] | Sequence[int]


def given(rows: Sequence[Mapping[str, Any]], *columns: ColumnClause[Any]) -> TableValuedAlias:
    """A table of these rows inside a statement; each row has the columns' names as keys and JSON values."""
    return _recordset(literal(as_parameter(rows), Text), *columns)


def given_later(name: str, *columns: ColumnClause[Any]) -> TableValuedAlias:
    """The same in a statement that is built once: the parameter `name` is `as_parameter(rows)` whenever it is run."""
    return _recordset(bindparam(name, type_=Text), *columns)


def as_parameter(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the one parameter of a statement."""
    return to_json(rows).decode()


def _recordset(body: ColumnElement[str], *columns: ColumnClause[Any]) -> TableValuedAlias:
    return func.json_to_recordset(cast(body, JSON)).table_valued(*columns, name="given").render_derived(with_types=True)


def is_one_of(column: ColumnElement[Any], values: Values) -> ColumnElement[bool]:
    """`column = ANY(array)`: true where the column's value is one of these, however many there are."""
    return column == any_(cast(list(values), ARRAY(column.type)))
