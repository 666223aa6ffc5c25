"""Where items are delivered; one folder for each kind. `base` is the contract that every kind keeps.

A kind is registered under the scheme of its addresses: dropslot's own in KINDS, an operator's under `destinations` in
config.yaml. Nothing else in dropslot asks what scheme an address has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from dropslot.config import Deliver, current, load_dotted
from dropslot.config.plugins import make_named
from dropslot.core.addressing.addresses import scheme_of
from dropslot.core.context import kept
from dropslot.core.errors import Unsupported
from dropslot.core.templates import Template
from dropslot.destinations.base import Destination, Kind, Target

# By scheme; an address without a scheme is a path of this machine. Each kind is imported when it is first needed:
# importing asyncssh takes a quarter of a second.
KINDS = {
    "": "dropslot.destinations.local.kind.LocalKind",
    "dicom": "dropslot.destinations.dicom.kind.DicomKind",
    "dicomweb+http": "dropslot.destinations.dicomweb.kind.DicomWebKind",
    "dicomweb+https": "dropslot.destinations.dicomweb.kind.DicomWebKind",
    "s3": "dropslot.destinations.s3.kind.S3Kind",
    "sftp": "dropslot.destinations.sftp.kind.SftpKind",
}


class _Made(dict[str, Kind]):
    """The kinds that this process has made, by dotted path."""

    def __missing__(self, dotted: str) -> Kind:
        remedy = "Correct it, or its entry under `destinations` in config.yaml"
        title = f"The destination {dotted!r}"
        self[dotted] = make_named(lambda: load_dotted(dotted)(), (Kind,), title, remedy)
        return self[dotted]


def kind_of(address: str) -> Kind:
    """The kind of destination that an address belongs to. Raises BadOption if the kind cannot be made, Unsupported if
    it is no longer registered."""
    scheme = scheme_of(address)
    if not (dotted := KINDS.get(scheme) or current().destinations.get(scheme)):
        raise Unsupported(
            f"No kind of destination is registered for {scheme}://",
            next_step="Put its line back under `destinations` in config.yaml",
        )
    return kind_named(dotted)


def kind_named(dotted: str) -> Kind:
    """The kind that a dotted path names. Raises BadOption."""
    return kept(_Made)[dotted]


def by_kind(rules: Iterable[Deliver]) -> Iterator[tuple[Kind, list[Deliver]]]:
    """Each kind with its entries of `deliver`."""
    for _, alike in groupby(sorted(rules, key=_scheme), key=_scheme):
        some = list(alike)
        yield kind_of(some[0].to), some


def _scheme(rule: Deliver) -> str:
    return rule.scheme


class _OfRules(dict[int, tuple[Deliver, Destination]]):
    """The destination of each entry of `deliver`, by its id(). Keeping the entry ensures that no other object gets the
    same id."""


def for_rule(rule: Deliver) -> Destination:
    """The destination of one entry of `deliver`, made once in a process."""
    made = kept(_OfRules)
    if id(rule) not in made:
        made[id(rule)] = (rule, kind_of(rule.to).for_rule(rule))
    return made[id(rule)][1]


def for_url(url: str) -> Destination:
    """The destination that a resolved target belongs to."""
    return kind_of(url).for_url(url)


def read(url: str, name: str) -> Iterator[bytes]:
    """The bytes of one stored file, for fixity. Raises FileNotFoundError when it is gone."""
    return for_url(url).read(Target(url, url), name)


class _Here(dict[str, tuple[Destination, Target]]):
    """By resolved address: its destination, and the target with the fixed part of the rule that delivers there."""

    def __missing__(self, url: str) -> tuple[Destination, Target]:
        rules = [Template(rule.to) for route in current().routes.values() for rule in route.deliver]
        fixed = next((to.fixed for to in rules if to.match(url) is not None), url)
        self[url] = for_url(url), Target(url, fixed)
        return self[url]


def place_at(url: str) -> tuple[Destination, Target]:
    """The destination that a resolved target belongs to, and that target with its fixed part. Raises DropslotError."""
    return kept(_Here)[url]


def open_here(url: str, name: str) -> int | None:
    """A descriptor of one delivered file, for reading; None if it is not on this machine, or gone. Below the fixed part
    of the rule that delivered it no link is followed. Raises DropslotError, OSError."""
    destination, target = place_at(url)
    return destination.open_here(target, name)
