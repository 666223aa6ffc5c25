"""Under which UID a route delivers what has another one at its sender."""

from __future__ import annotations

from collections.abc import Callable

from dropslot.config import Route, current
from dropslot.dicom.deidentifying.config_keys import deidentify_of
from dropslot.dicom.deidentifying.secret_key import SecretKey
from dropslot.dicom_files.deidentifier.replacing import Replacer


def delivered_uid(route: Route) -> Callable[[str], str]:
    """From a UID as it was sent to the one that the route delivers: the same, unless it de-identifies."""
    wanted = deidentify_of(route)
    if wanted is None or "retain-uids" in wanted.options:
        return lambda uid: uid
    return Replacer(SecretKey(current().keys).of_route(route.key), {}).uid
