"""Before staging: find the arrival, list its items, and find its targets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path

from dropslot.arrivals import whereabouts
from dropslot.arrivals.crew import ALONE, Crew
from dropslot.arrivals.delivery import guarded_writes, make_anew, route_importer
from dropslot.arrivals.delivery.paths import legs
from dropslot.arrivals.delivery.paths.field_values import collect
from dropslot.arrivals.delivery.paths.own_fields import fields_of, wants_mime
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake import seal
from dropslot.arrivals.intake.claim import move_to_own
from dropslot.arrivals.models import Arrival
from dropslot.audit import receipts
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.contents.contents_of_arrival import contents_of, sent_on_purpose
from dropslot.core.errors import DropslotError, Refused, SourceUnready, TakenOver
from dropslot.core.file_names.litter import BY_DEFAULT, Litter, litter_of
from dropslot.core.names import RESERVED, escape
from dropslot.files import faults as faults_of_storage
from dropslot.files.walk import MAX_FAULTS, list_arrival, marked
from dropslot.watching import reasons
from dropslot.watching.temporary import TemporaryNames


def begin_work(
    config: Config, arrival: Arrival, known: dict[str, dict[str, FolderSet]], crew: Crew = ALONE
) -> Work:
    """The work of a taken arrival. `known` (route and inbox to folders) is a cache for the batch.

    Raises SourceUnready when its route or inbox is no longer configured.
    """
    route = config.routes.get(arrival.route)
    if route and route.key not in known:
        known[route.key] = {str(folders.inbox): folders for folders in folder_sets(route)}
    folders = known[route.key].get(arrival.inbox) if route else None
    if route is None or folders is None:
        raise SourceUnready(
            f"Arrival {arrival.id} came through route {arrival.route!r}, inbox {arrival.inbox}, which is no longer "
            "in config.yaml",
            where="It waits in processing",
            next_step="Put the route back, or move the arrival by hand into another route's inbox",
        )
    return Work(arrival, config, route, folders, crew)


def prepare_arrival(work: Work, *, is_alone: bool = True) -> None:
    """Fence off older epochs, then look: after this the arrival's staging is ours alone. A large one of several is only
    listed: it goes back into the queue.

    Raises Refused with all faults of name and content at once, and SourceUnready for temporary faults.
    """
    own_name = whereabouts.fault_of_arrival(work.name, marks=work.keeps_marks)
    faults = [own_name] if own_name else []
    try:
        if wants_mime(work.config, work.route):
            _seal_where_it_lies(work)  # otherwise only the sender may be able to read it
        work.values = collect(work, faults)
        legs.open_known(work, faults)
    except DropslotError:
        _seal_where_it_lies(work)
        raise
    # First remove the older epochs' staging, then move the folder to this epoch: from here on a worker that was
    # taken over can neither publish nor archive.
    legs.discard_older(work)
    work.source = _locate(work)
    _look(work, faults)
    if not faults and not is_alone and is_large(work):
        return
    if not faults and make_anew.is_made_anew(work):
        make_anew.make_items(work, faults)
    if not faults and (importer := fields_of(work.config, work.route).importer):
        route_importer.look_at_items(work, importer, faults)
    if not faults:
        legs.open_by_item(work, faults)
        work.require_a_leg()
    if faults:
        # A single file's name is also its item's name: report it once.
        raise Refused(list(dict.fromkeys(faults)))


def is_large(work: Work) -> bool:
    """Whether it is delivered alone, so that a worker with several does not hold what another could do."""
    return (
        work.listing.size_bytes > guarded_writes.ALONE_BYTES
        or len(work.listing.items) > guarded_writes.ALONE_ITEMS
    )


def _locate(work: Work) -> Path:
    """The arrival's path, after the move to this epoch. Raises Refused when it is nowhere."""
    own = whereabouts.held(work.folders, work.id, work.epoch)
    if not own.exists():
        _bring(work, own)
    # An arrival that is read in place has a folder in processing only for the reason of a refusal.
    return (work.folders.inbox if work.arrival.in_place else own) / work.name


def _bring(work: Work, own: Path) -> None:
    """Move the arrival here from an older epoch's folder, or from failed. Raises TakenOver."""
    guarded_writes.require_held(work.hold)
    older = [
        folder
        for arrival, epoch, folder in whereabouts.holdings(work.folders)
        if arrival == work.id and epoch < work.epoch
    ]
    refused = whereabouts.refused(work.folders, work.id)
    for folder in [*older, refused]:
        try:
            move_to_own(folder, own)
        except (FileNotFoundError, FileExistsError):
            continue
        if folder == refused:
            _require_or_put_back(work, own, refused)
        _call_by_its_name(work, own)
        return


def _call_by_its_name(work: Work, own: Path) -> None:
    """Rename the entry if `retry` recorded a new name; no other worker is in this folder. The reason goes last: until
    the rename it shows which of the two entries is the arrival."""
    entries = whereabouts.entry_of(own, work.name) if not work.arrival.in_place else []
    if entries and entries != [work.name] and len(entries) == 1:
        move_to_own(own / entries[0], own / work.name)
    if work.arrival.in_place or _is_there(own / work.name):
        whereabouts.remove_reasons(own, work.name)


def _require_or_put_back(work: Work, own: Path, refused: Path) -> None:
    # The folder in failed carries no epoch. A slow worker must not take the arrival from there after others have
    # refused it again. After a crash in here, recovery puts the folder back.
    try:
        guarded_writes.require_held(work.hold)
    except TakenOver:
        move_to_own(own, refused)
        raise


def _look(work: Work, faults: list[str]) -> None:
    if not _is_there(work.source):
        _require_own_database(work)
        faults.append(_gone(work))
        return
    litter = _litter(work)
    found = _seal_and_list(work, litter)
    if work.listing.ignored and (listed := sent_on_purpose(work.source, work.listing)):
        # Files in the manifests of a bag are not litter: they were sent on purpose.
        found = _seal_and_list(work, litter.keeping(listed))
    faults.extend(found)
    if not work.keeps_marks:
        faults.extend(marked(work.listing))
    if work.listing.unreadable and not faults:
        raise SourceUnready(
            f"{len(work.listing.unreadable)} entries cannot be read, first {work.listing.unreadable[0]}",
            where=f"The arrival waits at {escape(str(work.source))}; nothing of it was delivered",
            next_step="Give the service read permission; it is retried",
        )
    if not faults and not work.committed:
        faults.extend(_not_whole(work))
    if not faults:
        work.contents = contents_of(work.listing)


def _seal_and_list(work: Work, litter: Litter) -> list[str]:
    faults = (
        [] if work.arrival.in_place else seal.seal_arrival(work.source, _sender(work, work.source), litter)
    )
    work.listing = list_arrival(work.source, litter)
    return faults + work.listing.faults


def _litter(work: Work) -> Litter:
    """The rule in config.yaml. Once something may have been published, the rule of that time."""
    return (
        litter_of(tuple(work.arrival.evidence.get("ignore", BY_DEFAULT)))
        if work.committed
        else work.route.litter
    )


def _require_own_database(work: Work) -> None:
    """Raise SourceUnready when the missing arrival was delivered or moved on after this database's backup was made."""
    later = any(
        arrival == work.id and epoch > work.epoch for arrival, epoch, _ in whereabouts.holdings(work.folders)
    )
    if later or _has_manifest(work) or receipts.find(work.config.data, work.id):
        raise SourceUnready(
            f"The database is older than the state of arrival {work.id}, probably restored from a backup",
            where="It is in processing with a later epoch"
            if later
            else "It was delivered, and its files are archived",
            next_step="Stop the service and run `dropslot rebuild`",
        )


def _has_manifest(work: Work) -> bool:
    return any(leg.drop.stored(f"{RESERVED}/manifests/{work.id}.sha256") is not None for leg in work.legs)


def _gone(work: Work) -> str:
    again = "it then goes on by itself" if work.committed else f"then run: dropslot retry {work.id}"
    return (
        f"Its files are no longer at {escape(str(work.source))}: somebody moved them, or a disk is not mounted. "
        f"Mount it, or put them back there; {again}"
    )


def _seal_where_it_lies(work: Work) -> None:
    """Take away the sender's access even while a destination is away. Raises Refused for files of another owner."""
    for arrival, _, folder in whereabouts.holdings(work.folders) if not work.arrival.in_place else ():
        source = folder / work.name
        if arrival != work.id or not _is_there(source):
            continue
        if faults := seal.seal_arrival(source, _sender(work, source), work.route.litter):
            raise Refused(faults)


def _sender(work: Work, source: Path) -> int:
    """The owner at the time of the claim. The entries inside only show who made each of them."""
    uid = work.arrival.evidence.get("uid")
    return uid if isinstance(uid, int) else seal.sender(source, work.route.litter)


def _is_there(source: Path) -> bool:
    # Not os.path.lexists: it returns False for a disk that cannot be read, and a missing arrival is refused.
    try:
        os.lstat(source)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise faults_of_storage.at_source(error, source.name) from error
    return True


def _not_whole(work: Work) -> Iterator[str]:
    """A sentence for each sign that the arrival is incomplete or of a kind that its route does not take; at most
    MAX_FAULTS."""
    listing, route = work.listing, work.route
    if not reasons.takes(route, is_folder=listing.is_folder):
        yield f"{escape(work.name)}: {reasons.of_other_kind(route, is_folder=listing.is_folder)}"
    elif listing.is_folder:
        is_unfinished = TemporaryNames.of(route).asked_inside
        paths = map(itemgetter(0), chain(listing.items, listing.folders))
        unfinished = (path for path in paths if is_unfinished(path.rpartition("/")[2]))
        for path in islice(unfinished, MAX_FAULTS):
            yield f"{reasons.of_unfinished(path)}. Send the arrival again"
        if not listing.items:
            yield f"{escape(work.name)}: {reasons.EMPTY}"
