"""SSH signatures as `ssh-keygen -Y verify` reads them (OpenSSH, PROTOCOL.sshsig), with Ed25519 keys.

asyncssh has them too, but importing it takes each worker 300 ms and 31 MB (measured, asyncssh 2.24);
cryptography, on which both stand, takes 60 ms and 12 MB, and the envelope is these few fields.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Collection

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_MAGIC = b"SSHSIG"
_VERSION = 1
_KEY_TYPE = b"ssh-ed25519"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_LINE_LENGTH = 70


class BadSignature(ValueError):
    """The signature does not prove the message; its text says why."""


def public_blob(key: Ed25519PublicKey) -> bytes:
    """The key as SSH puts it on the wire: what `ssh-ed25519 AAAA…` encodes."""
    return _string(_KEY_TYPE) + _string(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def sign(key: Ed25519PrivateKey, namespace: str, message: bytes) -> str:
    """An armored signature over `message`, valid for `namespace` only."""
    signature = _string(_KEY_TYPE) + _string(key.sign(_signed_data(namespace.encode(), b"sha512", message)))
    envelope = (
        _MAGIC
        + struct.pack(">I", _VERSION)
        + _string(public_blob(key.public_key()))
        + _string(namespace.encode())
        + _string(b"")
        + _string(b"sha512")
        + _string(signature)
    )
    armor = base64.b64encode(envelope).decode("ascii")
    lines = [armor[at : at + _LINE_LENGTH] for at in range(0, len(armor), _LINE_LENGTH)]
    return "\n".join((_BEGIN, *lines, _END, ""))


def verify(signature: str, namespace: str, message: bytes, allowed: Collection[bytes]) -> None:
    """Raise BadSignature unless one of the `allowed` public blobs signed `message` for `namespace`."""
    reader = _Reader(_unarmored(signature))
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != _VERSION:
        raise BadSignature("it is not an SSH signature of version 1")
    signer, found, _reserved, hash_name = reader.string(), reader.string(), reader.string(), reader.string()
    inner = _Reader(reader.string())
    kind, raw = inner.string(), inner.string()
    reader.at_end()
    inner.at_end()
    if signer not in allowed:
        raise BadSignature("it was made with a key that is not among the allowed signers")
    if found != namespace.encode() or hash_name not in _HASHES or kind != _KEY_TYPE:
        raise BadSignature("it was made for another purpose or in another way than receipts are signed")
    try:
        _public_key(signer).verify(raw, _signed_data(found, hash_name, message))
    except InvalidSignature as error:
        raise BadSignature("the text was changed after it was signed, or the signature was") from error


def _public_key(blob: bytes) -> Ed25519PublicKey:
    reader = _Reader(blob)
    if reader.string() != _KEY_TYPE:
        raise BadSignature("the allowed signer's key is not of type ssh-ed25519")
    try:
        return Ed25519PublicKey.from_public_bytes(reader.string())
    except ValueError as error:
        raise BadSignature("the allowed signer's key is malformed") from error


def _signed_data(namespace: bytes, hash_name: bytes, message: bytes) -> bytes:
    digest = _HASHES[hash_name](message).digest()
    return _MAGIC + _string(namespace) + _string(b"") + _string(hash_name) + _string(digest)


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _unarmored(signature: str) -> bytes:
    lines = signature.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadSignature("it is not an armored SSH signature")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("it is not base64") from error


class _Reader:
    """The fields of an SSH structure, one after the other; BadSignature where it ends too early or late."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise BadSignature("it is cut short")
        self._at += size
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def at_end(self) -> None:
        if self._at != len(self._data):
            raise BadSignature("it has more in it than a signature")
