"""The contract of a destination: stage, look, publish without ever replacing, manifest last.

The pipeline (`dropslot.arrivals`) decides names and versions and keeps the database; a destination only moves bytes.
For one arrival and one destination it opens a `Drop`; several drops are synced together, so that a batch of small
arrivals costs one sync. The order of calls is

    drop.discard_older()            remove the staging of earlier epochs
    drop.stored(), drop.digest()    look at files that are there already
    drop.stage(...)                 bytes into .dropslot/stage/ID-EPOCH/, hashed as they are written
    drop.admit(items)               what will be delivered can be
    destination.sync_staged(drops)  data is on the disk
    drop.publish(plan)              names appear; none is ever replaced
    destination.sync_names(drops)   names are on the disk
    destination.publish_manifests([(drop, text), …])     `.dropslot/manifests/ID.sha256`, synced
    drop.clean()                    the staging folder is removed

A drop holds descriptors or a connection: use it as a context manager, or call `close` in any case.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ValidationError

from dropslot.config import Deliver, current
from dropslot.config.mistakes.explain import explain
from dropslot.contents.base import Source, Staged
from dropslot.core.addressing.addresses import scheme_of, server_of
from dropslot.core.errors import BadOption, DestinationUnready, Unsupported
from dropslot.core.fullness import Capacity
from dropslot.core.names import escape
from dropslot.core.templates import Template

M = TypeVar("M", bound=BaseModel)

# What a remote destination proved about an arrival. The receipt lists the proofs that all of its destinations gave.
SIZE_COMPARED = "destination: size compared after the server's acknowledgment"
SYNCED = "destination: synced to the server's disk"
READ_BACK = "destination: read back and compared"
ACKNOWLEDGED = "destination: acknowledged by the server"
DIGEST_COMPARED = "destination: the server compared the SHA-256"
# For a single destination that cannot be read back; the receipt adds its address.
ONLY_ACKNOWLEDGED = "destination: only acknowledged, it cannot be read back"
COMMITTED = "destination: storage commitment for every instance, it cannot be read back"
LISTS_INSTANCES = "destination: lists every instance as stored, it cannot be read back"
# An own sentence of a single destination begins like this.
SAID = "destination: said"
# The beginnings of what is proved of a single destination only.
OF_ONE = (ONLY_ACKNOWLEDGED, COMMITTED, LISTS_INSTANCES, SAID)


@dataclass(frozen=True, slots=True)
class Rules:
    """How files are written. Modes are integers (0o640); `None`: the umask and the parent folder decide."""

    group: str | None = None
    file_mode: int | None = None
    folder_mode: int | None = None
    manifest: str = "hidden"  # hidden: .dropslot/manifests/ID.sha256; beside: NAME.sha256 in the target; none

    @classmethod
    def of(cls, rule: Deliver, values: Mapping[str, str] | None = None) -> Rules:
        """The rules of an entry of `deliver`. Without `values` (no arrival yet) a group with fields stays unknown."""
        group = Template(rule.group) if rule.group else None
        known = group is not None and (values is not None or not group.fields)
        filled = group.fill(values or {}) if group and known else None
        return cls(filled, rule.file_mode, rule.folder_mode, rule.manifest)


@dataclass(frozen=True, slots=True)
class Target:
    """One resolved `to`: where the contents of one arrival go.

    `fixed` is the part before the first field: it must exist and is never created. `must_exist` likewise.
    """

    url: str  # an absolute path, or sftp://…; history shows it, and names are unique within it
    fixed: str
    must_exist: str | None = None
    rules: Rules = field(default_factory=Rules)

    @classmethod
    def of(cls, rule: Deliver, values: Mapping[str, str], *, marks: bool = False) -> Target:
        """The target of a rule for an arrival with these fields. Raises Refused for a value that is not safe in a path.
        `marks`: values may have direction marks."""
        to, must = Template(rule.to), Template(rule.must_exist or "")
        return cls(
            url=to.fill(values, marks=marks),
            fixed=to.fixed,
            must_exist=must.fill(values, marks=marks) or None,
            rules=Rules.of(rule, values),
        )

    @classmethod
    def fixed_part(cls, rule: Deliver) -> Target:
        """The folder before the first field of a rule. It exists before any arrival."""
        fixed = Template(rule.to).fixed
        return cls(url=fixed, fixed=fixed, rules=Rules.of(rule))


class Planned(NamedTuple):
    """One item and its planned name."""

    path: str  # as listed and staged: with the leading folder that `strip` removes
    stored_as: str  # relative to the target
    sha256: str


class Stored(NamedTuple):
    """The entry at a name now. `regular` is False for a folder, link or special file; `mtime_ns` is None if a
    destination keeps no times of items."""

    regular: bool
    size_bytes: int
    mtime_ns: int | None


class Found(NamedTuple):
    """One entry in a folder of a destination; links are not followed."""

    is_folder: bool
    regular: bool
    size_bytes: int
    mtime_ns: int


class Drop(ABC):
    """One arrival at one destination, for one epoch. Used by one process."""

    target: Target
    destination: Destination
    leased = False  # whether every item was staged under a lease of the source
    shifted = 0  # items whose time the destination or the record cannot hold: they get the nearest one

    @property
    def proved(self) -> frozenset[str] | None:
        """What was proved about the stored bytes; None: they are synced on a disk of this machine."""
        return None

    @abstractmethod
    def discard_older(self) -> None:
        """Remove this arrival's staging folders of smaller epochs. After that their workers can publish nothing."""

    @abstractmethod
    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        """Copy every item and folder of the source, in listing order, hashing the bytes that are written.

        `strip` is a leading folder ("data/" of a bag) that is removed from the published paths; items outside of it are
        staged (and hashed) but cannot be published. The listing must have no faults. A second call stages everything
        again. Raises SourceChanged when an item differs from the listing, SourceUnready, DiskFull, StorageFault,
        DestinationUnready, TakenOver, and Refused when it can never fit. After a crash nothing has a final name.
        """

    def open_staged(self, path: str) -> BinaryIO | None:  # noqa: ARG002
        """The staged bytes of one item if they lie on a disk of this machine. Otherwise None: then checks read the
        source (`contents.local_bytes`), and nothing is fetched back for them."""
        return None

    def admit(self, items: Sequence[Staged]) -> None:  # noqa: B027
        """Called once these staged items are known to be what will be delivered; a bag's own files, and what an
        importer keeps back, are not among them. Raises Refused if one of them can never be delivered there, and
        DestinationUnready if one cannot now."""

    @abstractmethod
    def is_new(self) -> bool:
        """Whether the target folder does not exist yet, so that no name can be taken."""

    @abstractmethod
    def stored(self, name: str) -> Stored | None:
        """The entry at `name` (relative to the target) now, or None. Links are not followed."""

    @abstractmethod
    def digest(self, name: str) -> str | None:
        """SHA-256 (hex) of the regular file at `name`; None if there is none. Links are not followed."""

    @abstractmethod
    def publish(self, plan: Sequence[Planned]) -> list[Planned]:
        """Give staged items their names; returns those whose name something else has taken (nothing is replaced).

        Also publishes empty folders. A new target or folder whose items all keep their names is published by one
        rename. An item counts as published if its name is our own staged inode, or if it is no longer staged and the
        name holds its SHA-256. So after an error the same plan may be published again, also with other names for the
        returned items. Raises TakenOver when the staging folder is gone, DestinationUnready when a folder of the
        target is a link, not a folder, or was moved away.
        """

    @abstractmethod
    def keep(self, names: Sequence[str]) -> None:
        """Names (relative to the target) that an earlier attempt gave. It may have ended before it synced them, so
        `sync_names` syncs them too."""

    def publish_manifest(self, text: str) -> str | None:
        """`Destination.publish_manifests` for this drop alone."""
        return self.destination.publish_manifests([(self, text)])[0]

    @abstractmethod
    def clean(self) -> None:
        """Remove this epoch's staging folder, and hidden folders if they are empty; then close."""

    @abstractmethod
    def close(self) -> None:
        """Release descriptors and connections; staged data stays. May be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Destination(ABC):
    """One place of one kind, made from one entry of `deliver`."""

    # Whether delivered items can be found by name, listed and read again. Receivers that only acknowledge (C-STORE,
    # STOW) cannot do that: then names and versions come from dropslot's record, `stored`, `digest` and `listing` find
    # nothing, and the acknowledgment is the only proof.
    can_be_read: ClassVar[bool] = True
    # Whether a delivered file can get another name there by operations that replace and remove nothing.
    can_rename: ClassVar[bool] = False
    # Whether `check` is so quick that a start may wait for it. False for everything behind a network.
    answers_at_once: ClassVar[bool] = False

    @abstractmethod
    def check(self, target: Target) -> None:
        """Raise DestinationUnready (temporary) or Unsupported if nothing can be delivered to `target` now."""

    @abstractmethod
    def open(self, target: Target, arrival: str, epoch: int, name: str) -> Drop:
        """A drop for the arrival with this id; `name` (of the arrival) names a manifest `beside`."""

    def open_checked(self, target: Target, arrival: str, epoch: int, name: str) -> Drop:
        """`check`, then `open`: for a destination that need not find the target's place twice."""
        self.check(target)
        return self.open(target, arrival, epoch, name)

    @abstractmethod
    def sync_staged(self, drops: Sequence[Drop]) -> None:
        """Staged data of all these drops is durable on return. Raises StorageFault: stage again, never sync again."""

    @abstractmethod
    def sync_names(self, drops: Sequence[Drop]) -> None:
        """Published names of all these drops are durable on return."""

    @abstractmethod
    def publish_manifests(self, manifests: Sequence[tuple[Drop, str]]) -> list[str | None]:
        """Stage, sync, name and sync the manifests of whole arrivals; returns their names relative to the target.

        None: the rules want no manifest. The same manifest may be there already. Anything else under that name is never
        replaced: the manifest gets the next version of the name. Call it when all names are durable (`sync_names`).
        """

    @abstractmethod
    def read(self, target: Target, name: str) -> Iterator[bytes]:
        """The bytes of a delivered file, for fixity; FileNotFoundError when it is gone."""

    @abstractmethod
    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        """The entries in `folder` ("" for the target itself) by name; empty if there is no such folder. Links below the
        fixed part are not followed. Raises DestinationUnready and similar."""

    @abstractmethod
    def are_folders(self, urls: Sequence[str]) -> list[bool]:
        """For each of these addresses, whether it is a folder now."""

    def give_other_name(self, target: Target, name: str, new: str) -> bool:
        """Give a delivered file another name, which nothing has; both are relative to the target, and replace nothing.
        Missing folders of `new` are made, for the service alone; names are synced. False: there is nothing at `name`.

        After a crash the file has one of the names or, where they are links, both; call it again. Raises Unsupported
        where files cannot be renamed, or if `name` is no regular file; DestinationUnready if `new` is taken.
        """
        raise Unsupported(
            f"{escape(name)} at {escape(target.url)} cannot be set aside: only a folder of this machine or of an SFTP"
            f" server can give it another name than {escape(new)} without removing anything",
            where="It stays as it is",
            next_step="Look at it, keep a copy, and remove it there by hand; then mend it",
        )

    def twins(self, target: Target, names: Sequence[str]) -> list[tuple[str, str]]:  # noqa: ARG002
        """Pairs of `names` that the destination treats as the same name (case, NFC/NFD)."""
        return []

    def path_here(self, url: str, name: str) -> str | None:  # noqa: ARG002
        """The path of a delivered file on this machine; None if it is elsewhere."""
        return None

    def open_here(self, target: Target, name: str) -> int | None:  # noqa: ARG002
        """A descriptor of a delivered file on this machine, for reading; None if it is elsewhere or gone. Links below
        the fixed part are not followed. Raises DestinationUnready and similar, OSError."""
        return None

    def identity(self, url: str, name: str) -> tuple[int, int] | None:  # noqa: ARG002
        """Device and inode of a delivered file on this machine. They prevent that an original is taken for its own
        copy. Raises OSError."""
        return None

    def capacities(self, targets: Sequence[Target]) -> list[list[Capacity]]:
        """For each target, what limits how much fits there now: its file system, and quotas; empty where the place does
        not say. Many targets cost little more than one. Raises DestinationUnready and similar."""
        return [[] for _ in targets]

    def changed_at(self, target: Target, folder: str) -> float | None:  # noqa: ARG002
        """When a name was last added to a folder, in seconds since 1970; None if that cannot be found quickly."""
        return None


class Examined(NamedTuple):
    """What `doctor` says about a destination. If `remedy` is a command, it can be pasted as it is."""

    level: Literal["ok", "warning", "error"]
    what: str
    remedy: str = ""


def options_of(rule: Deliver, model: type[M]) -> M:
    """The `options` of a rule, as this model. Raises BadOption with every mistake."""
    try:
        return model.model_validate({} if rule.options is None else rule.options)
    except ValidationError as error:
        mistakes = "; ".join(str(problem).rstrip(".") for _, problem in explain(error, model, ("options",)))
        raise BadOption(f"deliver to {rule.to}: {mistakes}", next_step="Correct it in config.yaml") from error


class Kind(ABC):
    """A kind of destination, registered under the scheme of its addresses. It makes destinations, proves them before
    the start, and examines them for `doctor`. One object for each process, made without arguments.

    Keys of config.yaml that only dropslot's own kinds use are in `dropslot.config.deliver_entries.PLACES`; other kinds
    read `rule.options` with `options_of`."""

    # What `options` may hold, for the schema of config.yaml.
    options: ClassVar[type[BaseModel] | None] = None

    @abstractmethod
    def for_rule(self, rule: Deliver) -> Destination:
        """The destination of one entry of `deliver`; entries with equal settings share one object. Raises BadOption."""

    def for_url(self, url: str) -> Destination:
        """The destination that a resolved target belongs to. Raises Unsupported if no rule delivers there any more.

        It comes from the rule whose `to` gives this address, or else from a rule for the same server."""
        rules = [rule for route in current().routes.values() for rule in route.deliver]
        exact = (rule for rule in rules if Template(rule.to).match(url) is not None)
        alike = (r for r in rules if server_of(r.to) == server_of(url) and r.scheme == scheme_of(url))
        rule = next(exact, None) or next(alike, None)
        if rule is None:
            raise Unsupported(
                f"config.yaml no longer has an entry that delivers to {url}",
                next_step="Put its entry of `deliver` back",
            )
        return self.for_rule(rule)

    def prove(self, rules: Sequence[Deliver], *, by_trial: bool) -> None:  # noqa: ARG002
        """Raise Unsupported or BadOption for permanent faults before any arrival is taken; temporary ones are left to
        the delivery that hits them. `by_trial`: really try it, whatever the place says about itself."""
        for rule in rules:
            destination = self.for_rule(rule)
            if destination.answers_at_once:  # a start must not wait for a server: its delivery finds out
                with suppress(DestinationUnready):  # temporary
                    destination.check(Target.fixed_part(rule))

    def examine(self, rule: Deliver, warn_percent: float) -> Examined:  # noqa: ARG002
        """Look at the place of a rule and write there; warns from `warn_percent` full. Raises DropslotError with the
        fault and its remedy."""
        target = Target.fixed_part(rule)
        self.for_rule(rule).check(target)
        return Examined("ok", f"{target.fixed} can be delivered to")
