"""Events of the trail in words. `data` is what the kind records (`audit.kinds`); names in it are hostile, so what is
made here is text for a template that escapes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dropslot.arrivals.outbox_readers.after import ordinal
from dropslot.audit.kinds import Kind
from dropslot.core.showing.amounts import lasting, size
from dropslot.core.showing.quantities import counted

Data = Mapping[str, Any]

# What somebody sees who sent an arrival or runs its study: what became of it, not who works here or looks at it.
FOR_ALL = frozenset(
    {
        *(
            Kind.WAITING,
            Kind.WITHDRAWN,
            Kind.CLAIMED,
            Kind.STARTED,
            Kind.RETRYING,
            Kind.HELD,
            Kind.RELEASED,
            Kind.DELIVERED,
            Kind.REFUSED,
        ),
        *(Kind.RETRY_ASKED, Kind.RENAMED, Kind.DISMISSED, Kind.PURGED, Kind.ALTERED, Kind.WRITTEN_SINCE),
        *(Kind.ACKNOWLEDGED, Kind.UNACKNOWLEDGED),
        *(Kind.IMAGES_RECORDED, Kind.INSTANCES_CHANGED, Kind.SERIES_INCOMPLETE),
    }
)


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence, lines below it, and the name of a colour of bootstrap."""

    sentence: str
    lines: tuple[str, ...] = ()
    colour: str = "secondary"


def in_words(kind: str, data: Data) -> Words:
    """An event for people. One of a kind that is not known here is shown by its kind; one whose data is not as
    expected (an old trail), likewise."""
    try:
        return _WORDS[Kind(kind)](data)
    except (KeyError, ValueError, TypeError, AttributeError):
        return Words(kind.replace("-", " ").capitalize())


def _plain(sentence: str, colour: str = "secondary") -> Callable[[Data], Words]:
    return lambda _: Words(sentence, (), colour)


def _waiting(data: Data) -> Words:
    return Words("It was seen in the inbox and could not be taken yet", _reasons(data), "warning")


def _claimed(data: Data) -> Words:
    sender = f", sent by {data['sender']}" if data.get("sender") else ""
    verb = "found where it lies" if data.get("in_place") else "taken from the inbox"
    return Words(f"It was {verb}{sender}", (), "info")


def _started(data: Data) -> Words:
    again = f", for the {ordinal(data['attempt'])} time" if data["attempt"] > 1 else ""
    return Words(f"A worker began to check and deliver it{again}")


def _taken_over(data: Data) -> Words:
    return Words("Another worker took it over, since the first one had ended", (f"Worker: {data['worker']}",))


def _retrying(data: Data) -> Words:
    seconds = data["in_seconds"]
    sentence = f"It could not be delivered yet; it was to be tried again after {seconds:.0f} s"
    return Words(sentence, _reasons(data), "warning")


def _held(data: Data) -> Words:
    what = f"{counted(data['items'], 'item')}, {size(data['size_bytes'])}"
    return Words("It was checked and is whole; it is held until somebody sends it onward", (what,), "primary")


def _delivered(data: Data) -> Words:
    outcomes = data["outcomes"]
    parts = []
    if outcomes.get("delivered"):
        parts.append(f"{counted(outcomes['delivered'], 'item')} delivered")
    if outcomes.get("unchanged"):
        parts.append(f"{outcomes['unchanged']:,} known already and unchanged")
    lines = _names("Archived, not delivered", data.get("ignored"))
    return Words(f"Sent: {', '.join(parts) or 'it held no items'}", tuple(lines), "success")


def _images_recorded(data: Data) -> Words:
    lines = [*map(_series, data["series"][:10]), *_names("Not DICOM", data.get("not_dicom"))]
    return Words(f"Its images were recorded: {data['count']:,} series", tuple(lines), "info")


def _series(one: Data) -> str:
    images = f"{counted(one['instances'], 'instance')}, {one['added']:,} of them new"
    why = "; ".join(one["evidence"])
    return f"{one['modality'] or 'Series'} {one['series_uid']}: {images}; {one['verdict']}: {why}"


def _instances_changed(data: Data) -> Words:
    lines = [
        f"{one['item']} is version {one['version']} of {one['sop_uid']}" for one in data["instances"][:10]
    ]
    sentence = (
        f"{counted(data['count'], 'image')} came with other bytes than before under the same SOPInstanceUID"
    )
    return Words(sentence, tuple(lines), "danger")


def _series_incomplete(data: Data) -> Words:
    sentence = f"It was delivered with {data['count']:,} series that are not {data['required']}, as the route requires"
    return Words(sentence, tuple(map(_series, data["series"][:10])), "warning")


def _refused(data: Data) -> Words:
    return Words("Refused: nothing of it was delivered", _reasons(data), "danger")


def _file(file: Mapping[str, Any]) -> str:
    name = str(file.get("stored_as") or next(iter(file.values()), ""))
    return f"{name} (before, it was set aside as {file['set_aside']})" if file.get("set_aside") else name


def _files(sentence: str) -> Callable[[Data], Words]:
    def words(data: Data) -> Words:
        shown = [_file(file) for file in data["files"][:10]]
        where = data.get("destination") or data.get("lies_at") or ""
        more = data["count"] - len(shown)
        lines = [*shown, *([f"and {more:,} more"] if more > 0 else [])]
        return Words(f"{sentence}: {counted(data['count'], 'file')}", (f"At {where}", *lines), "warning")

    return words


def _retry_asked(data: Data) -> Words:
    return Words(f"{_by(data)}A retry was asked for", _reasons(data, "Until then: "), "primary")


def _renamed(data: Data) -> Words:
    return Words(f"{_by(data)}It got another name", (f"From {data['from']}", f"To {data['to']}"), "primary")


def _dismissed(data: Data) -> Words:
    return Words(f"{_by(data)}It was dismissed: it is never delivered", (str(data["reason"]),), "secondary")


def _purged(data: Data) -> Words:
    because = [str(data["because"])] if data.get("because") else []
    read_back = [f"Read back just before: {place}" for place in data.get("read_back", ())]
    lines = (*because, *read_back, *_names("Still there", data.get("stays")))
    return Words(f"{_by(data)}It was removed from {data['from']}", lines)


def _mended(data: Data) -> Words:
    lines = [f"{data['stored_as']} at {data['destination']}", f"Delivered: SHA-256 {data['delivered']}"]
    if data["found"]:
        lines += [f"Found: SHA-256 {data['found']}", f"Set aside as {data['set_aside']}"]
    lines.append(f"Taken from {data['taken_from']}")
    return Words(f"{_by(data)}A damaged file was put back", tuple(lines), "success")


def _held_legally(data: Data) -> Words:
    return Words(f"{_by(data)}It was put under a legal hold", (str(data["reason"]),), "primary")


def _hold_released(data: Data) -> Words:
    return Words(f"{_by(data)}Its legal hold was released", (str(data["reason"]),), "primary")


def _audited(data: Data) -> Words:
    return Words(f"{_by(data)}It was flagged as audited", _note(data), "success")


def _withdrawn(data: Data) -> Words:
    return Words(f"{_by(data)}The audit was withdrawn", _note(data), "warning")


def _acknowledged(data: Data) -> Words:
    lines = (
        f"{data['stored_as']} (version {data['version']})",
        f"From {data['address']}, at {data['at'][:19].replace('T', ' ')} UTC",
    )
    return Words(f"Fetched by {data['user'] or 'somebody without a name'}", lines, "success")


def _accessed(data: Data) -> Words:
    who = data["user"] or "somebody without a name"
    lines = (str(data["stored_as"]), str(data["because"]))
    return Words(f"Accessed by {who}, which does not count as fetched", lines)


def _unacknowledged(data: Data) -> Words:
    sentence = f"{_by(data)}The acknowledgment of {data['user']} was undone"
    return Words(sentence, (str(data["stored_as"]), str(data["reason"])), "warning")


def _reidentified(data: Data) -> Words:
    sentence = f"{_by(data)}The original of a {data['kind']} was shown"
    return Words(sentence, (str(data["replacement"]), str(data["reason"])), "warning")


def _opened(verb: str) -> Callable[[Data], Words]:
    def words(data: Data) -> Words:
        lines = (f"{data['stored_as']} (version {data['version']})", f"From {data['address']}")
        return Words(f"{verb} by {data['by']}", lines)

    return words


def _exported(data: Data) -> Words:
    return Words(f"{data['by']} exported {data['what']}", (f"From {data['address']}",))


def _access_refused(data: Data) -> Words:
    return Words(f"Access was refused to {data['by'] or 'somebody'}", (str(data["what"]),), "warning")


def _signed_in(data: Data) -> Words:
    return Words(f"{data['by']} signed in", (f"From {data['address']}, by {data['how']}",))


def _sign_in_refused(data: Data) -> Words:
    lines = (str(data["why"]), f"From {data['address']}")
    return Words(f"A sign-in as {data['name']} was refused", lines, "warning")


def _rights_changed(data: Data) -> Words:
    return Words(f"{_by(data)}The rights of {data['of']} were changed", (str(data["what"]),), "primary")


def _uploaded(data: Data) -> Words:
    sentence = f"{data['by']} uploaded {data['name']} to route {data['route']}"
    return Words(sentence, (counted(data["files"], "file"),), "info")


def _received(data: Data) -> Words:
    aborted = {"aborted": ", which was aborted", "interrupted": ", which the end of the receiver interrupted"}
    sentence = f"{data['aet']} at {data['host']} sent {counted(data['instances'], 'instance')} to route {data['route']}"
    lines = (f"{counted(data['failures'], 'instance')} could not be kept",) if data["failures"] else ()
    colour = "info" if data["ended"] == "released" and not data["failures"] else "warning"
    return Words(f"{sentence} in one association{aborted.get(data['ended'], '')}", lines, colour)


def _associations_refused(data: Data) -> Words:
    lines = [
        f"{one['aet']} at {one['host']}, which called {one['called']}: {one['why']} ({one['count']:,} times)"
        for one in data["callers"]
    ]
    more = [f"{data['others']:,} of other callers"] if data["others"] else []
    sentence = f"{counted(data['count'], 'association')} refused by the DICOM receiver"
    return Words(sentence, (*lines, *more), "warning")


def _fetched(data: Data) -> Words:
    what = f"{counted(data['instances'], 'instance')} in {data['series']:,} series"
    sentence = (
        f"{data['by']} fetched study {data['study_uid']} from {data['source']} to route {data['route']}"
    )
    return Words(sentence, (f"{what}, all that the archive listed",), "info")


def _folders_loaded(data: Data) -> Words:
    counts = ", ".join(f"{data[key]:,} {key}" for key in ("added", "updated", "removed", "refused"))
    return Words(f"{_by(data)}The folder table {data['table']} was loaded", (counts, f"From {data['file']}"))


def _verified(data: Data) -> Words:
    checked = f"{counted(data['events'], 'event')} and {counted(data['files'], 'stored file')}"
    if data["outcome"] == "ok":
        return Words(f"{_by(data)}Verified: {checked}, no fault", (), "success")
    colour = "danger" if data["faults"] else "warning"
    return Words(
        f"{_by(data)}A verification ended: {checked}, {counted(data['faults'], 'fault')}", (), colour
    )


def _trouble(data: Data) -> Words:
    return Words(f"Trouble: {_about(data)}", (f"Next: {data['remedy']}",) if data["remedy"] else (), "danger")


def _trouble_over(data: Data) -> Words:
    return Words(f"The trouble is over: {_about(data)}", (f"It took {lasting(data['seconds'])}",), "success")


def _about(data: Data) -> str:
    return f"{data['about']}: {data['what']}"


def _notified(data: Data) -> Words:
    return Words(f"{_whom(data)} was sent a message: {data['title']}", (), "info")


def _not_notified(data: Data) -> Words:
    return Words(f"{_whom(data)} was not sent a message: {data['title']}", (data["why"],), "warning")


def _whom(data: Data) -> str:
    return f"{data['account']} ({data['to']})" if data["account"] else str(data["to"] or "Somebody")


def _timestamped(data: Data) -> Words:
    at = data["at"][:19].replace("T", " ")
    sentence = f"The trail up to event {data['head']['seq']} was stamped with the time {at} UTC"
    return Words(sentence, (f"By {data['signer'] or 'an authority'}, {data['authority']}",), "success")


def _by(data: Data) -> str:
    return f"{data['by']}: " if data.get("by") else ""


def _reasons(data: Data, before: str = "") -> tuple[str, ...]:
    return tuple(f"{before}{reason}" for reason in data.get("reason", ()))


def _note(data: Data) -> tuple[str, ...]:
    return (str(data["note"]),) if data.get("note") else ()


def _names(before: str, names: Data | None) -> Iterator[str]:
    if names:
        shown = ", ".join(names["names"][:10])
        more = names["count"] - len(names["names"][:10])
        yield f"{before}: {shown}{f' and {more:,} more' if more > 0 else ''}"


_WORDS: dict[Kind, Callable[[Data], Words]] = {
    Kind.WAITING: _waiting,
    Kind.WITHDRAWN: _plain("It has left the inbox before it was taken"),
    Kind.CLAIMED: _claimed,
    Kind.STARTED: _started,
    Kind.TAKEN_OVER: _taken_over,
    Kind.GIVEN_BACK: _plain("Its worker gave it back, since the service stopped"),
    Kind.RETRYING: _retrying,
    Kind.HELD: _held,
    Kind.RELEASED: lambda data: Words(f"{_by(data)}It was sent onward", (), "primary"),
    Kind.DELIVERED: _delivered,
    Kind.REFUSED: _refused,
    Kind.ADOPTED: _files("Files that were there before became version 1"),
    Kind.ALTERED: _files("Files at the destination were changed or removed by somebody"),
    Kind.DAMAGED: _files("Stored files were found damaged or missing"),
    Kind.INTACT_AGAIN: _files("Stored files are as they were delivered again"),
    Kind.DAMAGE_ACCEPTED: _files("Damaged files were accepted as they are"),
    Kind.MENDED: _mended,
    Kind.LEGAL_HOLD: _held_legally,
    Kind.LEGAL_HOLD_RELEASED: _hold_released,
    Kind.LEFT_BEHIND: _files("Files stay at a destination that the route no longer has"),
    Kind.WRITTEN_SINCE: _files("It was written to after it was taken"),
    Kind.IMAGES_RECORDED: _images_recorded,
    Kind.INSTANCES_CHANGED: _instances_changed,
    Kind.SERIES_INCOMPLETE: _series_incomplete,
    Kind.RETRY_ASKED: _retry_asked,
    Kind.AFTER_ASKED: lambda data: Words(f"{_by(data)}The call after the delivery was asked for again"),
    Kind.RENAMED: _renamed,
    Kind.DISMISSED: _dismissed,
    Kind.PURGED: _purged,
    Kind.UPLOAD_AUDITED: _audited,
    Kind.AUDIT_WITHDRAWN: _withdrawn,
    Kind.FOLDERS_LOADED: _folders_loaded,
    Kind.REIDENTIFIED: _reidentified,
    Kind.ACKNOWLEDGED: _acknowledged,
    Kind.UNACKNOWLEDGED: _unacknowledged,
    Kind.ACCESSED: _accessed,
    Kind.SIGNED_IN: _signed_in,
    Kind.SIGN_IN_REFUSED: _sign_in_refused,
    Kind.ACCESS_REFUSED: _access_refused,
    Kind.RIGHTS_CHANGED: _rights_changed,
    Kind.UPLOADED: _uploaded,
    Kind.RECEIVED: _received,
    Kind.ASSOCIATIONS_REFUSED: _associations_refused,
    Kind.FETCHED: _fetched,
    Kind.VIEWED: _opened("Looked at"),
    Kind.DOWNLOADED: _opened("Downloaded"),
    Kind.EXPORTED: _exported,
    Kind.VERIFIED: _verified,
    Kind.TIMESTAMPED: _timestamped,
    Kind.TROUBLE: _trouble,
    Kind.TROUBLE_OVER: _trouble_over,
    Kind.NOTIFIED: _notified,
    Kind.NOT_NOTIFIED: _not_notified,
    Kind.EPOCH_ADOPTED: _plain("Its place in the order of workers was taken over from the folders"),
    Kind.REBUILD: _plain("The database was read back from manifests and receipts"),
    Kind.IMPORT: _plain("Records of a program that was used before were read"),
    Kind.IMPORTED: lambda data: Words(
        f"A record of {data['program']}, as it was there", (f"{data['model']}: {data['name']}",)
    ),
    Kind.REBUILT: lambda data: Words("It was read back into the database", (f"From {data['from']}",)),
}
