"""Places are shared by address; where all are taken, who has waited longest for nothing makes room."""

import pytest

from app.http.server.connection_bounds import ConnectionBounds, Proxies, site_of
from app.http.server.connections import Connections
from scenes.errors import BadInput


class Transport:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Client:
    """A connection's protocol that is as it was made."""

    def __init__(self, waiting_since: float, *, is_answering: bool = False, late: bool = False) -> None:
        self.waiting_since, self.is_answering, self.late = waiting_since, is_answering, late
        self.transport = Transport()

    def look(self, now: float, bounds: ConnectionBounds) -> bool:
        return self.late

    def on_lost(self) -> None: ...

    def connection_made(self, transport: Transport) -> None: ...


def test_who_waited_longest_makes_room_and_a_request_never_does() -> None:
    connections = Connections(ConnectionBounds(total=3), lambda: 10.0)
    answering = Client(1.0, is_answering=True)
    clients = [answering, Client(5.0), Client(3.0)]
    for number, client in enumerate(clients):
        assert connections.has_room(f"10.0.0.{number}")
        connections.add(f"10.0.0.{number}", client)  # type: ignore[arg-type]
    connections.look()
    assert connections.has_room("10.0.0.9")
    assert [client.transport.aborted for client in clients] == [False, False, True]
    assert connections.has_room("10.0.0.9")
    assert not connections.has_room("10.0.0.9")
    assert not answering.transport.aborted


def test_an_address_gets_its_places_back() -> None:
    connections = Connections(ConnectionBounds(per_address=1), lambda: 0.0)
    one = connections.add("2001:db8:0:1::1", Client(0.0))  # type: ignore[arg-type]
    assert not connections.has_room("2001:db8:0:1::ffff")
    assert connections.has_room("2001:db8:0:2::1")
    assert connections.remove(one)
    assert not connections.remove(one)
    assert connections.has_room("2001:db8:0:1::ffff")
    assert len(connections) == 0


def test_what_was_refused_is_told_at_most_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    connections = Connections(ConnectionBounds(), lambda: now[0])
    connections.add("10.0.0.1", Client(0.0, late=True))  # type: ignore[arg-type]
    for second in range(150):
        now[0] = second
        connections.look()
    assert len(caplog.records) == 2
    assert "61 of a client that was too slow" in caplog.messages[0]


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_what_counts_as_one_address(host: str, site: str) -> None:
    assert site_of(host) == site


def test_trusted_proxies_are_addresses_and_networks_or_all() -> None:
    some = Proxies.parse("192.0.2.1, 2001:db8::/32")
    assert "192.0.2.1" in some
    assert "::ffff:192.0.2.1" in some
    assert "2001:db8::5" in some
    assert "192.0.2.2" not in some
    assert "192.0.2.2" in Proxies.parse("*")
    assert "192.0.2.1" not in Proxies.parse("")
    with pytest.raises(BadInput) as caught:
        Proxies.parse("my-proxy")
    assert caught.value.code == "proxy_invalid"
