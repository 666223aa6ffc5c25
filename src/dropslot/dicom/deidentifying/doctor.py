"""Whether the key of de-identification is there and is the right one, and what a recipe names in vain, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from dropslot.arrivals.registry import Finding
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.dicom.deidentifying.config_keys import deidentify_of
from dropslot.dicom.deidentifying.route_maker import recipe_of
from dropslot.dicom.deidentifying.secret_key import KEY, Sealed, SecretKey
from dropslot.dicom.models import Pseudonym


def examine(config: Config) -> Iterator[Finding]:
    """The key, once something was de-identified, and each recipe with unknown fields; changes nothing."""
    yield from _examine_key(config)
    for route in config.routes.values():
        wanted = deidentify_of(route)
        unknown = recipe_of(route.key, wanted.recipe).unknown if wanted else ()
        if unknown:
            names = ", ".join(escape(field) for field in unknown)
            yield Finding(
                "warning",
                f"the recipe of route {route.key}",
                f"These fields are not in DICOM's dictionary, and lines about them have no effect: {names}.",
                "Correct their spelling, or remove the lines",
            )


def _examine_key(config: Config) -> Iterator[Finding]:
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
