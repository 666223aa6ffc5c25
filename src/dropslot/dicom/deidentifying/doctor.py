"""Whether the key of de-identification is there and is the right one, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.registry import Finding
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.dicom.deidentifying.secret_key import KEY, Sealed, SecretKey
from dropslot.dicom.models import Pseudonym


def examine(config: Config) -> Iterator[Finding]:
    """One finding once something was de-identified; changes nothing."""
    newest = Pseudonym.objects.order_by("-id").first()
    if newest is None and not (config.keys / KEY).exists():
        return
    about = "the key of de-identification"
    try:
        key = SecretKey(config.keys)
        if newest is not None:
            key.open(bytes(newest.sealed), Sealed(newest.route, newest.kind, newest.replacement))
    except DropslotError as error:
        yield Finding(
            "error", about, " ".join(filter(None, (f"{error.what}.", error.where))), error.next_step
        )
        return
    yield Finding("ok", about, f"{config.keys / KEY} opens the originals; back it up apart from the database")
