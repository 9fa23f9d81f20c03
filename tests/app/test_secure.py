"""HTTPS by flags, proxies believed only when named, no other web site let in, security headers on every answer."""

import ssl
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import Command
from tests.app.live import live
from tests.app.serving import self_signed, served

FRIEND = "https://friend.example"


@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.encoder
def test_https_by_flags(command: Command, tmp_path: Path) -> None:
    pem, key = self_signed(tmp_path)
    alone = command.run("serve", "--tls-certificate", str(pem))
    assert alone.returncode == 2
    assert "--tls-key" in alone.stderr
    words = ("--tls-certificate", str(pem), "--tls-key", str(key), "--trust-proxy", "127.0.0.1")
    with served(command.environment, *words, certificate=pem) as server:
        assert server.login.startswith(f"{server.url}/login?token=")
        with httpx.Client(base_url=server.url, verify=ssl.create_default_context(cafile=pem)) as client:
            answer = client.get("/healthz")
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            cookie = client.get(server.login).headers["set-cookie"]
            assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
            seen = client.get("/v1/keys/", headers={"X-Forwarded-Proto": "http"})
            assert seen.headers["location"].startswith("http://")  # the proxy that was named is believed
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")  # a certificate that nobody told of is not trusted
        with pytest.raises(httpx.HTTPError):
            httpx.get(server.url.replace("https", "http"))


@pytest.mark.postgres
@pytest.mark.http
def test_without_being_told_no_web_site_is_let_in(database_url: str, home: Path) -> None:
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    with live(database_url, home) as server, server.client() as client:
        for answer in (client.options("/v1/keys", headers=asked), client.get("/healthz", headers=asked)):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    with live(database_url, home, cors=(FRIEND,)) as server, server.client() as client:
        let_in = client.options("/v1/keys", headers=asked)
        assert let_in.headers["access-control-allow-origin"] == FRIEND
        assert "access-control-allow-credentials" not in let_in.headers
        other = client.options("/v1/keys", headers=asked | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.postgres
@pytest.mark.http
def test_every_answer_carries_security_headers(database_url: str, home: Path) -> None:
    wanted = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
    }
    with live(database_url, home) as server, server.client() as client:
        for path in ("/healthz", "/v1/keys", "/nothing", "/", "/openapi.json", "/docs", "/redoc", "/static/style.css"):
            headers = client.get(path).headers
            assert {name: headers.get(name) for name in wanted} == wanted, path
            assert "server" not in headers or "wordsight" not in headers["server"]
            assert headers["content-security-policy"].startswith("default-src 'none'; ")
            assert "unsafe" not in headers["content-security-policy"]
            assert "strict-transport-security" not in headers
        assert client.post("/v1/keys", content=b"x" * 100_000).headers["x-frame-options"] == "DENY"
