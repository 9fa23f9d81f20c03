"""`wordsight serve`: REST, pages and documentation."""

import asyncio
import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import output
from app.cli.wiring import open_catalog, settings
from scenes.errors import EnvironmentMissing

if TYPE_CHECKING:
    from app.settings import Settings

_LINK_LIVES = timedelta(hours=1)

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Server processes.")]


def register(cli: typer.Typer) -> None:
    cli.command()(serve)


def serve(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = 1) -> int:
    """Serve REST at /v1, pages at / and documentation at /docs until Ctrl-C.

    Prints a link with a one-time token that logs a browser in. Programs send an API key (`wordsight key create`).
    """
    import uvicorn

    from scenes.catalog.embedded import postgres

    config = settings()
    _refuse_taken_port(host, port)
    with postgres(config.home, config.database) as url:
        os.environ["DATABASE_URL"] = url
        os.environ["WORDSIGHT_HOME"] = str(config.home)
        token = asyncio.run(_login_token(settings()))
        output.say(f"wordsight starts on http://{host}:{port}; ready when the encoder is loaded, in a few seconds")
        output.say(f"open in a browser (works once): http://{host}:{port}/login?token={token}")
        uvicorn.run(
            "app.asgi:app",
            host=host,
            port=port,
            workers=workers,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    return 0


async def _login_token(config: "Settings") -> str:
    from app.security import Secret, new_token
    from scenes.catalog import logins

    token = new_token()
    secret = Secret.load(config.home, config.secret)
    async with open_catalog(config) as catalog, catalog.writing() as session:
        await logins.add(session, secret.digest("login", token), datetime.now(UTC) + _LINK_LIVES)
    return token


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentMissing(
                "port_taken", f"can't listen on {host}:{port}: {error.strerror}", fix="choose another with --port"
            ) from error
