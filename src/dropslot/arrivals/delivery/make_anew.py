"""Makes the items of an arrival anew if its route has `made_by`, or if an app has a maker for it. This comes before
their fields and before staging.

The made items lie in `made/ID-EPOCH` of the data folder and are durable before the intent. After the intent they are
kept until the arrival is done: some may be published, so a delivery goes on after a crash with the same bytes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from dropslot.arrivals import registry
from dropslot.arrivals.delivery.work import Made, Work
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import Config, Route, load_dotted
from dropslot.config.mistakes import blame
from dropslot.config.plugins import make_named
from dropslot.contents.base import ListedItem, Source, Staged
from dropslot.contents.local_bytes import LocalBytes
from dropslot.contents.makers import MadeContents, Maker, MakingFailed
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError, Refused, SourceUnready
from dropslot.core.names import escape, fault_of_name
from dropslot.core.states import UNFINISHED
from dropslot.files import copying, descriptors
from dropslot.files import faults as faults_of_storage
from dropslot.files.descriptors import FOLDER, Folder
from dropslot.files.listing import Item
from dropslot.files.regular_files import open_at_source
from dropslot.files.syscalls import syncfs
from dropslot.files.walk import MAX_FAULTS, list_arrival

MADE = "made"  # key in the evidence: the folder of made items; also the name of the folder that holds these folders
_ITEMS = "items"
_PIECE_BYTES = 1 << 20
_T = TypeVar("_T")
_Job = Callable[[], str]


class _Makers(dict[int, tuple[Route, Maker | None]]):
    """The maker of each route, by its id(). Keeping the route ensures that no other object gets the same id."""


def make_makers(config: Config) -> None:
    """Make the makers of all routes at start. Raises BadOption."""
    for route in config.routes.values():
        _maker_of(config, route)


def is_made_anew(work: Work) -> bool:
    """Whether the work's items are made anew: as it was recorded, once something may have been published."""
    return MADE in work.arrival.evidence if work.committed else _maker_of(work.config, work.route) is not None


def _maker_of(config: Config, route: Route) -> Maker | None:
    makers = kept(_Makers)
    if id(route) not in makers:
        made = [_made_maker(route.key, *pair) for pair in (route.made_by or {}).items()]
        makers[id(route)] = (route, made[0] if made else registry.maker(config, route))
    return makers[id(route)][1]


def _made_maker(route: str, dotted: str, option: Any) -> Maker:
    title = f"`made_by` of route {route}, {dotted!r},"
    return make_named(lambda: load_dotted(dotted)(option), (Maker,), title, "Correct it in config.yaml")


def make_items(work: Work, faults: list[str]) -> None:
    """Make the items that the work then delivers. Reasons of refusal are added to `faults`. Raises MakingFailed,
    SourceChanged, SourceUnready, StorageFault and DiskFull."""
    maker = _maker_of(work.config, work.route)
    name = work.arrival.evidence[MADE] if work.committed else ""
    home = work.config.data / MADE
    if name and (home / name).is_dir():
        made = Made(name, home / name / _ITEMS, _recorded(work))
    else:
        made = _made_anew(work, home, maker, faults)
    if faults:
        return
    if not work.listing.is_folder:
        made.path = next(made.path.iterdir())
    listing = list_arrival(made.path)
    faults.extend(listing.faults)
    work.made, work.contents = made, MadeContents(listing, work.contents)


def _recorded(work: Work) -> dict[str, tuple[str, str]]:
    rows = Delivery.objects.filter(arrival_id=work.id).values_list(
        "item", "source_item", "source_sha256", "sha256"
    )
    return {item: (source or item, digest or same) for item, source, digest, same in rows.iterator()}


def _made_anew(work: Work, home: Path, maker: Maker | None, faults: list[str]) -> Made:
    if maker is None:
        raise SourceUnready(
            f"The items that were made from arrival {work.id} are gone from {escape(str(home))}, and its route no"
            " longer has the maker that could make them again",
            where="Some of it may be delivered; the rest waits in processing",
            next_step="Put `made_by`, or `deidentify`, back; it is retried",
        )
    name = f"{work.id}-{work.epoch}"
    made = Made(name, home / name / _ITEMS)
    try:
        discard(work.config, work.id)
        home.mkdir(mode=0o700, exist_ok=True)  # may hold patients' data: closed to other accounts
        made.path.mkdir(parents=True)
        with Folder(os.open(home / name, FOLDER)) as folder:
            sent = _make_all(work, maker, made, faults)
            syncfs(folder.fd)  # opened before the writes: it reports their errors
    except OSError as error:
        raise faults_of_storage.at_destination(error, f"making items anew in {escape(str(home))}") from error
    if work.contents.is_bag and not faults:
        faults.extend(_faults_of_sent(work, sent))
    return made


class _Slot(NamedTuple):
    """Where one item is made: its private copy, and what was made of it."""

    sent: Path
    out: Path

    def open_sent(self) -> BinaryIO:
        return self.sent.open("rb")


class _Making(NamedTuple):
    """One item that is being made. `path` waits for its path, or raises what the maker raised."""

    item: str
    sha256: str
    slot: _Slot
    path: Callable[[], str]


def _make_all(work: Work, maker: Maker, made: Made, faults: list[str]) -> list[Staged]:
    """Read every item once and make the delivered items. Returns the items as they were read."""
    maker = maker.begin(work.id)
    if maker.at_once == 1:
        sent = _make_each(work, maker, made, faults, lambda job: job)
    else:
        with ThreadPoolExecutor(maker.at_once) as pool:
            sent = _make_each(work, maker, made, faults, lambda job: pool.submit(job).result)
    if not faults:
        _called(maker, "record what it made", maker.end)
    return sent


def _make_each(
    work: Work, maker: Maker, made: Made, faults: list[str], start: Callable[[_Job], _Job]
) -> list[Staged]:
    sent = []
    under_way: deque[_Making] = deque()
    slots = [
        _Slot(made.path.with_name(f"sent-{n}"), made.path.with_name(f"out-{n}"))
        for n in range(maker.at_once + 1)
    ]
    with Source(work.source, work.listing).open() as folder:
        for number, item in enumerate(work.listing.items):
            slot = slots[number % len(slots)]
            if under_way and under_way[0].slot is slot:
                _put(made, under_way.popleft(), faults)
            read = _read(work, folder, item, made, slot.sent)
            sent.append(read)
            path = work.contents.path_of(item.path)
            if path is not None and len(faults) < MAX_FAULTS:
                listed = ListedItem(path, item.size_bytes, slot.open_sent)
                job = partial(_made_one, maker, listed, slot.out)
                under_way.append(_Making(path, read.sha256, slot, start(job)))
    for making in under_way:
        _put(made, making, faults)
    return sent


def _read(work: Work, folder: Folder, item: Item, made: Made, private: Path) -> Staged:
    """Make a private copy of one item, and take its digests."""
    hashes = copying.fresh_hashes(work.contents.algorithms)
    with (
        os.fdopen(open_at_source(folder, item.path), "rb", buffering=0) as source,
        private.open("wb") as copy,
    ):
        if (seen := os.fstat(source.fileno())).st_size != item.size_bytes or seen.st_ino != item.inode:
            raise copying.changed(item, seen)
        made.leased &= not work.arrival.in_place and copying.take_lease(source.fileno(), item.path)
        while piece := _piece(source, item):
            copy.write(piece)
            for each in hashes:
                each.update(piece)
        if copy.tell() != item.size_bytes:
            raise copying.miscounted(item, copy.tell())
    found = {name: each.digest().hex() for name, each in zip(work.contents.algorithms, hashes, strict=True)}
    return Staged(item.path, item.size_bytes, item.mtime_ns, found.pop("sha256"), found)


def _piece(source: FileIO, item: Item) -> bytes:
    try:
        return source.read(_PIECE_BYTES)
    except OSError as error:
        raise faults_of_storage.at_source(error, item.path) from error


def _made_one(maker: Maker, item: ListedItem, out: Path) -> str:
    """Make one item; its path. Raises Refused, and other DropslotErrors."""

    def make() -> str:
        with out.open("wb") as stream:
            path = maker.make(item, stream) or item.path
        _require_safe(path)
        return path

    return _called(maker, f"make {escape(item.path)} anew", make)


def _called(maker: Maker, what: str, call: Callable[[], _T]) -> _T:
    try:
        return call()
    except DropslotError:
        raise
    except Exception as error:
        title = f"{type(maker).__module__}.{type(maker).__qualname__}"
        raise MakingFailed(
            f"{title} failed to {what}: {blame.in_words(error)}",
            where="Nothing of the arrival was delivered; it waits in processing and is retried",
            next_step="If this repeats, fix it or take it out of the route",
        ) from error


def _require_safe(path: object) -> None:
    if not isinstance(path, str):
        raise TypeError(f"a maker must return a path or None; it returned {path!r}")
    for part in path.split("/"):
        if fault := fault_of_name(part):
            raise Refused([f"it was made as {escape(path)}, which is not a safe path: {fault}"])


def _put(made: Made, making: _Making, faults: list[str]) -> None:
    """Wait for an item, and give it its name among the made items."""
    try:
        path = making.path()
    except Refused as refusal:
        if len(faults) < MAX_FAULTS:
            faults.extend(f"{escape(making.item)}: {reason}" for reason in refusal.reasons)
        return
    *folders, name = path.split("/")
    folder = made.path
    for part in folders:
        folder = folder / part
        with suppress(FileExistsError):
            folder.mkdir()
    if os.path.lexists(folder / name) or not folder.is_dir():
        faults.append(f"{escape(path)} was made twice, or is also a folder")
    else:
        making.slot.out.rename(folder / name)
        made.sources[path] = (making.item, making.sha256)


def _faults_of_sent(work: Work, sent: Sequence[Staged]) -> list[str]:
    """Compare the sender's own manifests with the sent items."""
    by_path = {item.path: item for item in sent}
    with LocalBytes(Source(work.source, work.listing), lambda _: None, work.config.data) as local:
        return work.contents.faults(sent, lambda path: local.open(by_path[path]))


def discard(config: Config, arrival: str) -> None:
    """Remove the made items of an arrival. Raises OSError."""
    for name in _names(config):
        if name.rpartition("-")[0] == arrival:
            _remove(config, name)


def sweep(config: Config) -> None:
    """Remove the made items of finished arrivals that a crash left behind."""
    names = {name: name.rpartition("-")[0] for name in _names(config)}
    rows = Arrival.objects.filter(id__in=set(names.values()), state__in=UNFINISHED) if names else ()
    going_on = {row.id for row in rows}
    for name, arrival in names.items():
        if arrival not in going_on:
            with suppress(OSError):
                _remove(config, name)


def _names(config: Config) -> list[str]:
    try:
        return os.listdir(config.data / MADE)
    except FileNotFoundError:
        return []


def _remove(config: Config, name: str) -> None:
    with Folder(os.open(config.data / MADE, FOLDER)) as home:
        descriptors.remove_folder(home.fd, name)
