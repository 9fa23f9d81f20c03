"""Can a server listen on an address? Asked before anything else is started; IPv4, IPv6 and names alike."""

import errno
import socket
from contextlib import closing
from typing import Any

from scenes.errors import EnvironmentMissing

_FIXES = {
    errno.EADDRINUSE: ("port_taken", "choose another port with --port"),
    errno.EACCES: ("port_forbidden", "choose a port above 1023 with --port"),
}
_OTHERWISE = ("host_unusable", "name an address of this machine with --host: 127.0.0.1, ::1, or :: for all")


def refuse_unusable(host: str, port: int) -> None:
    """Raises `EnvironmentMissing`: `port_taken`, `port_forbidden`, `host_unusable`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise _unusable(host, port, error) from error
    faults = [fault for family, _, _, _, address in found if (fault := _fault(family, address)) is not None]
    hard = [fault for fault in faults if fault.errno in _FIXES]
    if hard or len(faults) == len(found):
        raise _unusable(host, port, (hard or faults)[0])


def _fault(family: int, address: tuple[Any, ...]) -> OSError | None:
    """Why an address can't be listened on. A name may have others that can."""
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _unusable(host: str, port: int, error: OSError | UnicodeError) -> EnvironmentMissing:
    number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, "it is no host name")
    code, fix = _FIXES.get(number or 0, _OTHERWISE)
    return EnvironmentMissing(code, f"can't listen on {host} port {port}: {why}", fix=fix)
