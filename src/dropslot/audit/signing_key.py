"""The key that signs receipts: made once, at first use, even if many processes ask at the same time.

In the folder `data/keys` (mode 0700): `receipt_ed25519` (0600), `receipt_ed25519.pub`, and
`allowed_signers`, which auditors get a copy of. A key that replaces a lost one is added to
`allowed_signers`; older receipts stay provable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from dropslot.config.mistakes.remedies import in_words
from dropslot.config.secrets import make_private
from dropslot.core.errors import DropslotError
from dropslot.core.signing import signers
from dropslot.core.signing.sshsig import public_blob

KEY = "receipt_ed25519"
ALLOWED_SIGNERS = "allowed_signers"
_DRAFT = re.compile(rf"\.({KEY}|{KEY}\.pub|{ALLOWED_SIGNERS})\.[0-9a-f]{{16}}")


class KeyFault(DropslotError):
    """The signing key cannot be read, made or trusted; no arrival is recorded without it."""

    code = "key-fault"
    retryable = True


def receipt_key(folder: Path) -> Ed25519PrivateKey:
    """The one key in `folder`; made, with its public files, when there is none. Raises KeyFault.

    After a crash there is no key, or the whole key; public files that are missing are made from it.
    """
    path = folder / KEY
    try:
        make_private(folder, folder.parent)
        _remove_dead_drafts(folder)
        if not path.exists():
            _make(path)
        key = _load(path)
        _publish(folder, key)
    except OSError as error:
        raise KeyFault(
            f"The key that signs receipts, {path}, cannot be used: {in_words(error, path)}",
        ) from error
    return key


def receipt_signer(folder: Path) -> str:
    """The public part of the key in `folder`, as a line; the key is made if there is none. Raises KeyFault."""
    return signers.line(public_blob(receipt_key(folder).public_key()))


def allowed_signers(path: Path) -> frozenset[bytes]:
    """The public keys in an `allowed_signers` file. Raises KeyFault for a malformed line, and for none.

    Without a file there are no signers: then no receipt is proved, and each one is a fault.
    """
    if not path.exists():
        return frozenset()
    try:
        blobs = signers.parse(path.read_text("utf-8"))
    except ValueError as error:
        raise KeyFault(f"{path} has a line that is not `NAME [OPTIONS] ssh-ed25519 KEY`") from error
    if not blobs:
        raise KeyFault(f"{path} names no signer")
    return blobs


def _make(path: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with _draft(path, text, 0o600) as draft, contextlib.suppress(FileExistsError):
        # link, not rename: of two processes that make a key, the first one's stays.
        os.link(draft, path)
    _sync(path.parent)


def _load(path: Path) -> Ed25519PrivateKey:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFault(f"Other accounts can read {path}", next_step=f"Run `chmod 600 {path}`")
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFault(f"{path} is not an OpenSSH private key without a passphrase: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFault(f"{path} is not of type ssh-ed25519")
    return key


def _publish(folder: Path, key: Ed25519PrivateKey) -> None:
    blob = public_blob(key.public_key())
    _ensure_line(folder / f"{KEY}.pub", f"{signers.line(blob)} dropslot receipts", keep=False)
    _ensure_line(folder / ALLOWED_SIGNERS, signers.line(blob, name=signers.PRINCIPAL), keep=True)


def _ensure_line(path: Path, line: str, *, keep: bool) -> None:
    before = _lines(path)
    if line not in before:
        text = "".join(f"{each}\n" for each in (*(before if keep else ()), line))
        with _draft(path, text.encode("utf-8"), 0o644) as draft:
            draft.replace(path)
        _sync(path.parent)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    return signers.lines(text)


@contextlib.contextmanager
def _draft(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    """A synced file beside `path`, with another name; gone after the block, unless it was renamed in it."""
    draft, descriptor = _locked_draft(path, mode)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        os.close(descriptor)


def _locked_draft(path: Path, mode: int) -> tuple[Path, int]:
    """Locked as long as its maker lives, so that the draft of a killed process can be recognized and removed."""
    while True:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        if _is_locked_now(descriptor) and draft.exists():
            return draft, descriptor
        os.close(descriptor)  # another process took it for a dead process's draft before it was locked


def _is_locked_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_dead_drafts(folder: Path) -> None:
    """Drafts of a process that was killed while it made a key: copies of a private key must not lie about."""
    for draft in (path for path in folder.iterdir() if _DRAFT.fullmatch(path.name)):
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(draft, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _is_locked_now(descriptor):
                    draft.unlink()
            finally:
                os.close(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
