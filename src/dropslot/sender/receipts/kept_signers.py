"""The keys with which a server signs its receipts: kept when they are first seen through a signed-in connection, or
named by the preset. A key that changes stops everything, as a changed host key does."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.core.signing import signers
from dropslot.sender.home_folder import writing

_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


class SignersChanged(DropslotError):
    """The server signs with other keys than those that are known."""

    code = "signers-changed"


class NoSigners(DropslotError):
    """The server has no key for receipts yet, or it cannot be read."""

    code = "no-signers"
    retryable = True


class KeptSigners:
    """The signers of one server. `folder` is `signers/` of the sender's home; `where` is the inbox's address; `pinned`
    is the preset's `signer`, which alone counts then."""

    def __init__(self, folder: Path, where: str, pinned: str = "") -> None:
        self.path = folder / _file_name(where)
        self._where, self._pinned = where, pinned

    def trusted(self, offer: Callable[[], str]) -> frozenset[bytes]:
        """The keys that may have signed receipts. `offer` asks the server (`Inbox.signers`); what it says is kept if no
        key is known yet. Raises SignersChanged and NoSigners, and what `offer` raises; then nothing is kept."""
        offered = self._offered(offer())
        known = self._known()
        if known is None:
            self._keep(offered)
            return offered
        if known == offered or (self._pinned and known <= offered):
            return known
        raise self._changed(known, offered)

    def _offered(self, text: str) -> frozenset[bytes]:
        try:
            offered = signers.parse(text)
        except ValueError as error:
            raise NoSigners(
                f"{self._where} gives keys for its receipts that cannot be read: a line is {error}",
                next_step="Tell the person who runs the server",
            ) from error
        if not offered:
            raise NoSigners(
                f"{self._where} has no key for receipts yet",
                next_step="Wait until the server has delivered something, or tell the person who runs it",
            )
        return offered

    def _known(self) -> frozenset[bytes] | None:
        if self._pinned:
            return self._parsed(self._pinned, "The preset's `signer`")
        try:
            text = self.path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return None
        return self._parsed(text, str(self.path))

    def _parsed(self, text: str, what: str) -> frozenset[bytes]:
        try:
            return signers.parse(text)
        except ValueError as error:
            raise SignersChanged(
                f"{what} cannot be read: a line is {error}",
                where="No receipt is believed until that is mended",
                next_step="Ask the person who runs the server for its line `ssh-ed25519 …`",
            ) from error

    def _keep(self, offered: frozenset[bytes]) -> None:
        """Whole or not at all: a crash leaves no file that is cut off. Raises HomeUnready."""
        with writing(self.path):
            self._write(offered)

    def _write(self, offered: frozenset[bytes]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        text = "".join(f"{signers.line(blob, name=signers.PRINCIPAL)}\n" for blob in sorted(offered))
        with aside.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(f"# {self._where}\n{text}")
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(self.path)

    def _changed(self, known: frozenset[bytes], offered: frozenset[bytes]) -> SignersChanged:
        of = "the preset names" if self._pinned else "it had before"
        remedy = "change `signer` in the preset" if self._pinned else f"delete {self.path}"
        return SignersChanged(
            f"{self._where} signs its receipts with {_shown(offered)}; {of} {_shown(known)}",
            where="No receipt is believed, and no file counts as delivered by it. Somebody may stand between this"
            " computer and the server, or the server has a new key",
            next_step=f"Compare the fingerprint with the person who runs the server. If it is the server's, {remedy}",
        )


def _shown(keys: frozenset[bytes]) -> str:
    return " and ".join(signers.fingerprint(blob) for blob in sorted(keys))


def _file_name(where: str) -> str:
    """Readable, safe on each system, and different for each address."""
    readable = _OTHER.sub("_", where).strip("._")[:80]
    return f"{readable}-{hashlib.sha256(where.encode('utf-8')).hexdigest()[:12]}"
