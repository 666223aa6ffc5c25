"""The key that signs receipts: made at first use, once, however many processes ask at the same time.

In the folder `data/keys` (mode 0700): `receipt_ed25519` (0600), `receipt_ed25519.pub`, and
`allowed_signers`, which auditors get a copy of. A key that replaces a lost one is added to
`allowed_signers`; older receipts stay provable.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from dropslot.audit.sshsig import public_blob
from dropslot.core.errors import DropslotError

KEY = "receipt_ed25519"
ALLOWED_SIGNERS = "allowed_signers"
PRINCIPAL = "dropslot"  # who `ssh-keygen -Y verify -I` asks for
NAMESPACE = "dropslot"


class KeyFault(DropslotError):
    """The key of the receipts cannot be read, made or trusted; no arrival is recorded without it."""

    code = "key-fault"
    retryable = True


def receipt_key(folder: Path) -> Ed25519PrivateKey:
    """The one key in `folder`; made, with its public files, when there is none. Raises KeyFault.

    After a crash there is no key, or the whole key; public files that are missing are made from it.
    """
    path = folder / KEY
    try:
        if not path.exists():
            _make(path)
        key = _load(path)
        _publish(folder, key)
    except OSError as error:
        raise KeyFault(
            f"The key that signs receipts, {path}, cannot be used: {error.strerror}",
            next_step=f"Let the service's own user read and write {folder}",
        ) from error
    return key


def allowed_signers(path: Path) -> frozenset[bytes]:
    """The public keys in an `allowed_signers` file. Raises KeyFault for a malformed line, and for none.

    No file, no signers: then no receipt is proved, and each one is a fault.
    """
    if not path.exists():
        return frozenset()
    try:
        blobs = frozenset(map(_blob_of, _lines(path)))
    except (ValueError, IndexError, binascii.Error) as error:
        raise KeyFault(f"{path} has a line that is no `NAME [OPTIONS] ssh-ed25519 KEY`") from error
    if not blobs:
        raise KeyFault(f"{path} names no signer")
    return blobs


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    temporary = _written(path, text, 0o600)
    try:
        # link, not rename: of two processes that make a key, the first one's stays.
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        temporary.unlink()
    _sync(path.parent)


def _load(path: Path) -> Ed25519PrivateKey:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFault(f"Others than the service may read {path}", next_step=f"Run `chmod 600 {path}`")
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFault(f"{path} is no OpenSSH private key without a passphrase: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFault(f"{path} is not of type ssh-ed25519")
    return key


def _publish(folder: Path, key: Ed25519PrivateKey) -> None:
    public = f"ssh-ed25519 {base64.b64encode(public_blob(key.public_key())).decode('ascii')}"
    _ensure_line(folder / f"{KEY}.pub", f"{public} dropslot receipts", keep=False)
    _ensure_line(folder / ALLOWED_SIGNERS, f'{PRINCIPAL} namespaces="{NAMESPACE}" {public}', keep=True)


def _ensure_line(path: Path, line: str, *, keep: bool) -> None:
    before = _lines(path)
    if line not in before:
        text = "".join(f"{each}\n" for each in (*(before if keep else ()), line))
        _written(path, text.encode("utf-8"), 0o644).replace(path)
        _sync(path.parent)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _blob_of(line: str) -> bytes:
    words = line.split()
    return base64.b64decode(words[words.index("ssh-ed25519") + 1], validate=True)


def _written(path: Path, content: bytes, mode: int) -> Path:
    """A synced file beside `path`, with another name."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return temporary


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
