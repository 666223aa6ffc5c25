"""An inbox of a portal: signs in with a token, and does what the engine asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dropslot.core.addressing.addresses import is_loopback
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.connecting import Access, place
from dropslot.sender.credentials import Credentials
from dropslot.sender.faults import BagGone, BagIncomplete, InboxClosed, InboxMissing, SignInRefused
from dropslot.sender.inbox import Outgoing, Progress, SignedReceipt
from dropslot.sender.over_https import https_errors, tus_batch
from dropslot.sender.over_https.https_errors import (
    KEPT,
    RUNS_THE_SERVER,
    UNSENT,
    NotThere,
    PartRefused,
    Unexpected,
)
from dropslot.sender.over_https.portal_client import Portal
from dropslot.sender.over_https.tus_batch import AT_ONCE, Batch, Sending
from dropslot.sftp.pace import Pace

MANIFEST = "manifest-sha256.txt"
_TRIES = 3
_USUAL = "study"  # what `dropslot init` calls the route of study data
_ENCODED = (("%0A", "\n"), ("%0D", "\r"), ("%25", "%"))


class HttpsInbox:
    """See `sender.inbox.Inbox`. A bag is a batch of uploads, which is hidden in the inbox until it is finished."""

    def __init__(self, access: Access, credentials: Credentials) -> None:
        """Signs in. Raises SignInRefused, InboxClosed, InboxMissing, HostUntrusted, Unreachable."""
        self._where = place(access.to)
        _require_safe(self._where)
        self._portal = self._signed_in(access, credentials)
        self._route = self._chosen(access.route)
        self._executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")
        credentials.accepted()

    @property
    def where(self) -> str:
        return self._where

    def begin(self, bag: str, files: Sequence[Outgoing]) -> None:
        """Nothing is to be made before the first file."""

    def upload(
        self, bag: str, files: Sequence[Outgoing], reached: Mapping[str, int], progress: Progress, pace: Pace
    ) -> None:
        del reached  # the portal itself knows what is there
        Sending(self._portal, self._batch(bag), progress, pace, self._executor).run(files)

    def finish(
        self, bag: str, tag_files: Mapping[str, bytes], naming: Callable[[], None], *, may_be_named: bool
    ) -> bool:
        del may_be_named  # the portal itself knows what was finished
        batch, payload = self._batch(bag), _payload(tag_files[MANIFEST])
        there, is_finished = tus_batch.begun(self._portal, batch)
        if is_finished or (not there and self._was_taken(bag)):
            return True
        self._require_whole(bag, payload, there)
        for path in there.keys() - payload - tag_files.keys():
            self._portal.ask("DELETE", there[path].address)
        list(self._executor.map(lambda tag: self._tag_file(batch, *tag), tag_files.items()))
        wanted = {"route": self._route, "name": bag, "files": len(payload) + len(tag_files), **batch.fields}
        naming()
        try:
            answer = self._portal.ask("POST", f"{batch.path}/finish", content=wanted)
        except PartRefused as error:
            raise https_errors.refused(bag, error.reasons) from error
        self._portal.picked(answer, lambda said: said["name"])  # a page of a proxy finishes nothing
        return True

    def discard(self, bag: str) -> None:
        tus_batch.remove(self._portal, self._batch(bag))

    def receipt(self, bag: str) -> SignedReceipt | None:
        try:
            return self._portal.read("receipts", SignedReceipt.of, {"name": bag})
        except NotThere:
            return None
        except Unexpected as error:  # of this bag alone: other receipts may be readable
            from dropslot.sender.receipts.verify_receipt import BadReceipt  # signatures take long to load

            raise BadReceipt(
                f"The receipt of {escape(bag)} cannot be read: {error.what}",
                where="Your files were sent; whether they were delivered is not known yet",
                next_step=f"Tell {RUNS_THE_SERVER}",
            ) from error

    def signers(self) -> str:
        return self._portal.read("receipts/allowed_signers", lambda said: str(said["allowed_signers"]))

    def close(self) -> None:
        self._executor.shutdown()
        self._portal.close()

    # Signing in

    def _signed_in(self, access: Access, credentials: Credentials) -> Portal:
        """With the token of the file, or else with one that the person gives."""
        for attempt in range(_TRIES):
            token = _in_file(access.token_file) or credentials.token(self._where, again=attempt > 0)
            if not token:
                break
            portal = Portal(self._where, token.strip())
            try:
                self._require_token(token.strip())
                self._require_uploads(portal.read("me", lambda said: "upload" in said["scopes"]))
            except SignInRefused:
                if access.token_file or attempt == _TRIES - 1:
                    raise
            else:
                return portal
        raise SignInRefused(
            f"{escape(self._where)} needs a token, and there is none",
            where=UNSENT,
            next_step="Make one on the page Tokens of the portal (scope upload), and give it, or a file that holds it",
        )

    def _require_token(self, token: str) -> None:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise SignInRefused(
                f"This is not a token for {escape(self._where)}: a token has no blanks, accents or line breaks",
                where=UNSENT,
                next_step="Copy the token once more, alone, and send again",
            )

    def _require_uploads(self, may_upload: bool) -> None:
        if not may_upload:
            raise InboxClosed(
                f"The token for {escape(self._where)} may not upload",
                where=UNSENT,
                next_step="Make one with the scope upload",
            )

    def _chosen(self, route: str) -> str:
        """The preset's route, else the only one to which this account may send folders, else the one called study."""
        mine = self._portal.read("routes", _mine)
        if not route:
            route = mine[0] if len(mine) == 1 else _USUAL
        if route in mine:
            return route
        raise InboxMissing(
            f"There is no route {escape(route)} for this account at {escape(self._where)}",
            where=UNSENT,
            next_step=f"Say --route, or `route:` in the preset: one of {', '.join(map(escape, mine))}"
            if mine
            else f"Ask {RUNS_THE_SERVER} for the role sender",
        )

    # Bags

    def _batch(self, bag: str) -> Batch:
        return Batch(bag, self._route, {"study": bag.partition("-")[0]})

    def _was_taken(self, bag: str) -> bool:
        """Whether it was finished, so long ago that the portal has forgotten the upload."""
        return self._portal.read("uploads", lambda said: bool(said["items"]), {"search": bag, "limit": "1"})

    def _require_whole(self, bag: str, payload: set[str], there: Mapping[str, tus_batch.Begun]) -> None:
        missing = [path for path in payload if path not in there or there[path].received < there[path].length]
        if not missing:
            return
        if len(missing) == len(payload):
            raise BagGone(
                f"The unfinished upload {escape(bag)} at {escape(self._where)} was removed there",
                where="Your files are untouched; what was sent of them is gone",
                next_step="Send again: they are sent in a new folder",
            )
        error = BagIncomplete(
            f"{len(missing)} files of {escape(bag)} are not whole at {escape(self._where)}, such as"
            f" {escape(min(missing))}",
            where=KEPT,
            next_step="Send again: only these are sent",
        )
        error.paths = tuple(sorted(missing))
        raise error

    def _tag_file(self, batch: Batch, name: str, content: bytes) -> None:
        self._portal.ask(
            "POST",
            "tus/",
            body=content,
            headers=batch.headers(name, len(content), 0) | tus_batch.checked(content),
        )


def _mine(said: Any) -> list[str]:
    """The routes to which this account may send folders."""
    return [str(one["key"]) for one in said["items"] if one["may_upload"] and one["takes"] != "files"]


def _require_safe(where: str) -> None:
    parts = urlsplit(where)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InboxClosed(
            f"{escape(where)} is not encrypted: anybody on the way could read the token",
            where=UNSENT,
            next_step="Use https://",
        )


def _in_file(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise DropslotError(
            f"The token file {escape(path)} cannot be read: {getattr(error, 'strerror', None) or error}",
            where=UNSENT,
            next_step="Put the token into it, alone",
        ) from error


def _payload(manifest: bytes) -> set[str]:
    """The paths of the manifest, as RFC 8493 has them."""
    return {_decoded(line.partition("  ")[2]) for line in manifest.decode("utf-8").splitlines() if line}


def _decoded(path: str) -> str:
    for code, letter in _ENCODED:
        path = path.replace(code, letter)
    return path
