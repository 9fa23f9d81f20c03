"""This installation's signature, Ed25519: whoever has the public key can verify it, offline; only this one can sign."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from scenes.artifact import write_file
from scenes.errors import Corrupt

_FILE = "signing-key"


@dataclass(frozen=True, slots=True)
class Signer:
    """A key pair; `public_key` is 32 bytes in hex."""

    _key: Ed25519PrivateKey

    @classmethod
    def load(cls, home: Path) -> "Signer":
        """The key pair of a data folder, made on first use. Raises `Corrupt` (`signing_key_unreadable`)."""
        path = home / _FILE
        if not path.is_file():
            write_file(path, Ed25519PrivateKey.generate().private_bytes_raw())
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
        except ValueError as error:
            raise Corrupt(
                "signing_key_unreadable", f"{path} is no Ed25519 key", fix="put the right file back"
            ) from error

    @property
    def public_key(self) -> str:
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> str:
        """The signature of some bytes, 64 bytes in hex."""
        return self._key.sign(data).hex()


def is_signed(data: bytes, signature: str, public_key: str) -> bool:
    """Was exactly this signed by the owner of a public key? Both are hex; what is no hex is no signature."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
