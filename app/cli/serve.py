"""`wordsight serve`: REST, pages and documentation."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import output, stopping
from app.cli.addresses import refuse_unusable
from app.cli.metrics_folder import metrics_folder
from app.cli.wiring import settings
from scenes.errors import BadInput, EnvironmentMissing

if TYPE_CHECKING:
    from app.settings import Settings

_LINK_LIVES = timedelta(hours=1)
_LOOK_EVERY_S = 0.2
_HUNG_AFTER_S = 10
"""A process that gives no sign of life for so long is replaced; one that died is replaced at once."""

ONE_THREAD_A_CALL = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Many requests at once share the cores better than the threads of a call; read when NumPy and tokenizers load."""
_LOOP = "app.spreading.loop:ServerLoop"
_HTTP = "app.http.server.protocol:BoundedHttp"

Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Server processes.")]

Certificate = Annotated[Path | None, typer.Option("--tls-certificate", exists=True, help="PEM file; serves HTTPS.")]
PrivateKey = Annotated[Path | None, typer.Option("--tls-key", exists=True, help="PEM file of the certificate's key.")]
TrustProxy = Annotated[
    str | None, typer.Option("--trust-proxy", help="Addresses whose X-Forwarded headers are believed; none by default.")
]


def register(cli: typer.Typer) -> None:
    cli.command()(serve)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Workers = 1,
    tls_certificate: Certificate = None,
    tls_key: PrivateKey = None,
    trust_proxy: TrustProxy = None,
) -> int:
    """Serve REST at /v1, pages at / and documentation at /docs until Ctrl-C, SIGTERM or SIGHUP, which is exit code 0.

    Prints a link with a one-time token that logs a browser in. Programs send an API key (`wordsight key create`).
    """
    _one_thread_a_call()
    if (tls_certificate is None) != (tls_key is None):
        raise BadInput("tls_incomplete", "HTTPS needs both --tls-certificate and --tls-key")
    scheme = "https" if tls_certificate else "http"
    listening = {
        "host": host,
        "port": port,
        "workers": workers,
        "ssl_certfile": tls_certificate,
        "ssl_keyfile": tls_key,
        "proxy_headers": trust_proxy is not None,
        "forwarded_allow_ips": trust_proxy,
    }
    with contextlib.suppress(KeyboardInterrupt):
        config = _checked_settings(trust_proxy or "")
        refuse_unusable(host, port)
        _serve(config, f"{scheme}://{_in_url(host)}:{port}", f"{scheme}://{_here(host)}:{port}", listening)
    output.say("stopped")
    return 0


def _checked_settings(trust_proxy: str) -> "Settings":
    from app.http.server.connection_bounds import Proxies
    from app.http.telemetry.tracing import check_tracing
    from indexer.reranking.files import find_reranker

    config = settings()
    check_tracing(config.traces)
    Proxies.parse(trust_proxy)
    if config.reranker is not None:
        find_reranker(config.reranker)
    return config


def _serve(config: "Settings", address: str, here: str, listening: dict[str, Any]) -> None:
    from scenes.catalog.embedded import postgres

    workers = listening["workers"]
    with postgres(config.home, config.database) as url, _counted_together(workers):
        os.environ["DATABASE_URL"] = url
        os.environ["WORDSIGHT_HOME"] = str(config.home)
        os.environ["WORDSIGHT_SCHEMA_IS_NEW"] = "true"
        token = stopping.run(_login_token(config, url))
        output.say(f"wordsight starts on {address}")
        os.environ["WORDSIGHT_SERVER_PROCESSES"] = str(workers)
        os.environ["WORDSIGHT_TRUST_PROXY"] = listening["forwarded_allow_ips"] or ""
        _when_ready(f"{here}/healthz", f"ready; open in a browser (works once): {here}/login?token={token}")
        _run_uvicorn(listening)


def _run_uvicorn(listening: dict[str, Any]) -> None:
    """Serve until a stop signal. Raises `SystemExit` where the server can't start; uvicorn has said why."""
    from app.cli import serving

    config = serving.ServerConfig(
        "app.asgi:create",
        factory=True,
        loop=_LOOP,
        http=_HTTP,
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=serving.GRACE_S,
        timeout_worker_healthcheck=_HUNG_AFTER_S,
        **listening,
    )
    if not serving.serve(config):
        sys.exit(EnvironmentMissing.exit_code)


def _one_thread_a_call() -> None:
    for name, value in ONE_THREAD_A_CALL.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def _counted_together(workers: int) -> Iterator[None]:
    """Several processes keep their counts in one folder, so that each can tell those of all."""
    if workers == 1:
        yield
        return
    from app.http.telemetry.metrics import MULTIPROCESS

    with metrics_folder() as folder:
        os.environ[MULTIPROCESS] = str(folder)
        yield


def _when_ready(address: str, words: str) -> None:
    """Say something once the server answers, from a thread of its own that ends with the process."""
    threading.Thread(target=_wait_and_say, args=(address, words), daemon=True).start()


def _wait_and_say(address: str, words: str) -> None:
    import httpx

    with httpx.Client(verify=False, trust_env=False, timeout=2) as client:  # noqa: S501 - our own certificate, any name
        while True:
            time.sleep(_LOOK_EVERY_S)
            with contextlib.suppress(httpx.HTTPError):
                if client.get(address).is_success:
                    output.say(words)
                    return


def _here(host: str) -> str:
    """The address of a host in a URL, as it is opened on this machine."""
    return _in_url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host))  # noqa: S104 - asked of this machine


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _login_token(config: "Settings", url: str) -> str:
    from app.http.security import Secret, new_token
    from scenes.catalog import sessions
    from scenes.catalog.connection import Catalog

    token = new_token()
    secret = Secret.load(config.home, config.secret)
    catalog = Catalog.connect(url)
    try:
        async with catalog.writing() as session:
            await sessions.add_login(session, secret.digest("login", token), datetime.now(UTC) + _LINK_LIVES)
    finally:
        await catalog.close()
    return token
