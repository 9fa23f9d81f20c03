"""How many connections there may be, from where, and how long a client may leave one waiting."""

import ipaddress
import math
from dataclasses import dataclass, field
from functools import lru_cache

from app.settings import Settings
from scenes.errors import BadInput

_EVERYONE = "*"
_IPV6_SITE = 64
"""Who has an IPv6 address has all others with these first bits."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that are trusted: their headers are believed, and their connections are those of many clients."""

    networks: tuple[Network, ...] = ()
    everyone: bool = False

    @classmethod
    def parse(cls, given: str) -> "Proxies":
        """From addresses and networks, separated by commas, or '*'. Raises `BadInput` (`proxy_invalid`)."""
        parts = [part.strip() for part in given.split(",") if part.strip()]
        if parts == [_EVERYONE]:
            return cls(everyone=True)
        try:
            return cls(tuple(ipaddress.ip_network(part) for part in parts))
        except ValueError as error:
            raise BadInput(
                "proxy_invalid", f"no proxy can be trusted by this: {error}", fix="name addresses, such as 10.0.0.1"
            ) from error

    def __contains__(self, host: str) -> bool:
        if self.everyone or not self.networks:
            return self.everyone
        address = _parsed(host)
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """Of one process: connections of one address and of all; seconds until a head, and a part of a body, must be there.

    `total` holds for all connections together; those that are in a request are never closed for others.
    """

    per_address: int = 512
    total: int = 4_096
    head_s: float = 10.0
    body_s: float = 10.0
    proxies: Proxies = field(default_factory=Proxies)

    @classmethod
    def of(cls, config: Settings) -> "ConnectionBounds":
        """Those of the environment; processes share what one address may have."""
        return cls(
            per_address=math.ceil(config.connections_per_address / config.server_processes),
            total=config.connections,
            head_s=config.head_timeout_s,
            body_s=config.body_timeout_s,
            proxies=Proxies.parse(config.trusted_proxies),
        )


@lru_cache(4_096)
def site_of(host: str) -> str:
    """What is counted as one address: an IPv4 address, or the first half of an IPv6 one."""
    address = _parsed(host)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address), _IPV6_SITE), strict=False))


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address
