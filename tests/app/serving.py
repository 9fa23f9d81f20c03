"""Runs the real server on a free port."""

import ipaddress
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import command_server


@dataclass(frozen=True)
class Served:
    url: str
    login: str
    pid: int


@contextmanager
def served(
    environment: dict[str, str], *more: str, certificate: Path | None = None, host: str = "127.0.0.1"
) -> Iterator[Served]:
    """`wordsight serve` until the block ends; over HTTPS where its certificate is given."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    heard, told = os.pipe()
    with os.fdopen(told, "wb") as errors:
        process = command_server.start(
            ("serve", "--host", host, "--port", str(port), *more), environment, stderr=errors
        )
    said: list[str] = []
    listener = threading.Thread(target=_listen, args=(heard, said), daemon=True)
    listener.start()
    url = f"{'https' if certificate else 'http'}://{'[::1]' if ':' in host else host}:{port}"
    try:
        wait_until_ready(process, url, said, certificate)
        yield Served(url, re.findall(r"http\S+/login\?token=\S+", "".join(said))[0], process.pid)
    finally:
        process.terminate()
        code = process.wait(timeout=30)
        listener.join(timeout=10)
    assert code == 0, "".join(said)


def _listen(pipe: int, said: list[str]) -> None:
    with os.fdopen(pipe) as lines:
        said.extend(lines)


def wait_until_ready(
    process: "command_server.Started | subprocess.Popen[bytes]",
    url: str,
    said: list[str],
    certificate: Path | None = None,
) -> None:
    trust = ssl.create_default_context(cafile=certificate)
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, "".join(said)
        try:
            if httpx.get(f"{url}/readyz", timeout=2, verify=trust).status_code == 200 and "token=" in "".join(said):
                return
            time.sleep(0.1)
        except httpx.HTTPError:
            time.sleep(0.3)
    raise AssertionError("".join(said))


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(address, False).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return pem, secret
