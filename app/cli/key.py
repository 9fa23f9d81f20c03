"""`wordsight key create|list|revoke`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from app.cli import output
from app.cli.options import Json
from app.cli.wiring import with_catalog
from scenes.errors import BadInput

if TYPE_CHECKING:
    from app.settings import Settings
    from scenes.catalog.connection import Catalog
    from scenes.catalog.keys import KeyRow

Where = Annotated[str, typer.Option("--collection", "-c", help="Name of a collection, or '*' for all of them.")]
ScopeOption = Annotated[str, typer.Option("--scope", metavar="search|ingest|admin", help="What the key may do.")]
Days = Annotated[int | None, typer.Option("--days", min=1, help="Days until the key expires; never where left out.")]


def register(cli: typer.Typer) -> None:
    group = typer.Typer(help="API keys.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_)
    group.command()(revoke)
    cli.add_typer(group, name="key")


def create(
    collection: Where,
    scope: ScopeOption,
    name: Annotated[str, typer.Option("--name", help="A word to remember it by.")] = "",
    days: Days = None,
    as_json: Json = False,
) -> int:
    """Make an API key. It is shown once: only a keyed hash of it is stored."""
    key, row = with_catalog(lambda catalog, config: _create(catalog, config, collection, scope, name, days))
    output.result(as_json, {"key": key, **_body(row)}, f"{key}\n{row.key_id}: {scope} in {collection}; shown only now")
    return 0


def list_(as_json: Json = False) -> int:
    """List all keys, without the keys themselves."""
    rows = [_body(row) for row in with_catalog(lambda catalog, _: _list(catalog))]
    lines = [f"{row['key_id']}  {row['scope']:<8}{row['collection']:<20}{row['state']}" for row in rows]
    output.result(as_json, {"keys": rows}, "\n".join(lines) or "there are no keys yet")
    return 0


def revoke(key_id: Annotated[str, typer.Argument(help="The key's id.")], as_json: Json = False) -> int:
    """Revoke a key at once."""
    row = with_catalog(lambda catalog, _: _revoke(catalog, key_id))
    output.result(as_json, _body(row), f"{key_id} is revoked")
    return 0


async def _create(
    catalog: "Catalog", config: "Settings", collection: str, scope: str, name: str, days: int | None
) -> "tuple[str, KeyRow]":
    from app.http.security import Secret
    from app.keys.service import Keys
    from scenes.catalog.keys import Scope

    if scope not in get_args(Scope):
        raise BadInput("scope_unknown", f"there is no scope {scope!r}", fix="choose search, ingest or admin")
    keys = Keys(catalog, Secret.load(config.home, config.secret))
    expiry = timedelta(days=days) if days else None
    return await keys.create(collection, cast(Scope, scope), name=name, expires_in=expiry)


async def _list(catalog: "Catalog") -> "list[KeyRow]":
    from scenes.catalog import keys

    async with catalog.reading() as session:
        return await keys.all_(session)


async def _revoke(catalog: "Catalog", key_id: str) -> "KeyRow":
    from scenes.catalog import keys

    async with catalog.writing() as session:
        return await keys.revoke(session, key_id)


def _body(row: "KeyRow") -> dict[str, Any]:
    return {
        "key_id": row.key_id,
        "name": row.name,
        "collection": row.collection,
        "scope": row.scope,
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "state": "revoked" if row.revoked_at else "active",
    }
