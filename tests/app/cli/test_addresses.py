"""Addresses to listen on: IPv4, IPv6 and names; what can't be had is one clear error."""

import socket

import httpx
import pytest

from app.cli.addresses import refuse_unusable
from scenes.errors import EnvironmentMissing
from tests.app.conftest import Command
from tests.app.serving import served

pytestmark = pytest.mark.http


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "localhost"])
def test_a_free_port_of_any_address_is_usable(host: str) -> None:
    refuse_unusable(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_told(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        with pytest.raises(EnvironmentMissing, match=host) as refused:
            refuse_unusable(host, taken.getsockname()[1])
    assert refused.value.code == "port_taken"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no..host"])
def test_an_address_that_is_not_this_machines_is_not_blamed_on_the_port(host: str) -> None:
    with pytest.raises(EnvironmentMissing) as refused:
        refuse_unusable(host, 0)
    assert refused.value.code == "host_unusable"
    assert "--host" in (refused.value.fix or "")


@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.encoder
@pytest.mark.parametrize(("host", "workers"), [("::1", 1), ("::", 2)])
def test_a_server_on_an_ipv6_address(command: Command, host: str, workers: int) -> None:
    with served(command.environment, "--workers", str(workers), host=host) as server:
        assert server.url.startswith("http://[::1]:")
        assert server.login.startswith(f"{server.url}/login?token=")
        assert httpx.get(server.login).status_code == 303
