"""The secret key of de-identification: `data/keys/pseudonyms`, mode 0600, made at first use.

All replacements come from it, and it encrypts their originals. So it is never made again once there are replacements:
with another key, a patient who comes back would get another pseudonym.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dropslot.config.mistakes.remedies import in_words
from dropslot.config.secrets import own_key
from dropslot.core.errors import DropslotError
from dropslot.dicom.models import Pseudonym

KEY = "pseudonyms"
_NONCE_BYTES = 12


class PseudonymKeyFault(DropslotError):
    """The key of de-identification is gone, can be read by others, or is another one."""

    code = "pseudonym-key-fault"
    retryable = True


class Sealed(NamedTuple):
    """What the encryption of an original is bound to."""

    route: str
    kind: str
    replacement: str

    @property
    def bound(self) -> bytes:
        return "\0".join(self).encode("utf-8")


class SecretKey:
    """The key in a folder. Raises PseudonymKeyFault."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / KEY
        self._key = bytes.fromhex(self._text())
        self._cipher = AESGCM(self._derived("seal"))

    def _text(self) -> str:
        path = self._path
        if not path.exists() and Pseudonym.objects.exists():
            raise PseudonymKeyFault(
                f"The key of de-identification, {path}, is gone",
                where="The database has replacements that were made with it; without it the same patient would get"
                " another pseudonym, and no original can be found again",
                next_step=f"Restore {path} from a backup",
            )
        text = own_key(path)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            raise PseudonymKeyFault(f"{path} cannot be used: {in_words(error, path)}") from error
        if mode & 0o077:
            raise PseudonymKeyFault(f"Other accounts can read {path}", next_step=f"Run `chmod 600 {path}`")
        if len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise PseudonymKeyFault(
                f"{path} is not a key of 64 hexadecimal digits", next_step="Restore it from a backup"
            )
        return text

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self._key, purpose.encode("utf-8"), hashlib.sha256)

    def of_route(self, route: str) -> bytes:
        """The key from which the replacements of one route are made."""
        return self._derived(f"route {route}")

    def seal(self, original: str, bound: Sealed) -> bytes:
        """The original, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = original.encode("utf-8", "surrogateescape")
        return nonce + self._cipher.encrypt(nonce, text, bound.bound)

    def open(self, sealed: bytes, bound: Sealed) -> str:
        """The original of a replacement."""
        try:
            text = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound.bound)
        except (InvalidTag, ValueError) as error:
            raise PseudonymKeyFault(
                f"{self._path} is not the key with which the originals were encrypted, or the database was changed",
                where="No original can be shown with it",
                next_step="Restore the key from a backup of the time when the files were delivered",
            ) from error
        return text.decode("utf-8", "surrogateescape")
