"""The events of an import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dropslot.arrivals.models import Arrival
from dropslot.audit.chain import Entry
from dropslot.audit.event_payloads import ImagesRecorded, SeriesIncomplete, SeriesRecorded
from dropslot.audit.kinds import Kind, entry
from dropslot.audit.receipts import Named
from dropslot.dicom.importing import config_keys
from dropslot.dicom.importing.record_images import Recorded
from dropslot.dicom.importing.verdicts import enough

_LISTED = 100


def entries(
    arrival: Arrival, recorded: Sequence[Recorded], not_dicom: Mapping[str, str], rules: config_keys.Series
) -> list[Entry]:
    """What was recorded; then an alarm for instances that changed, and one for series that should be more complete."""
    return [
        entry(Kind.IMAGES_RECORDED, arrival.id, _recorded(recorded, not_dicom)),
        *_changed(arrival, recorded),
        *_incomplete(arrival, recorded, rules),
    ]


def _recorded(recorded: Sequence[Recorded], not_dicom: Mapping[str, str]) -> ImagesRecorded:
    data: ImagesRecorded = {"count": len(recorded), "series": [_series(one) for one in recorded[:_LISTED]]}
    if named := Named.of(list(not_dicom)):
        data["not_dicom"] = named.body()
    return data


def _series(one: Recorded) -> SeriesRecorded:
    return {
        "study_uid": one.row.study.study_uid,
        "series_uid": one.row.series_uid,
        "modality": one.row.modality,
        "instances": one.instances,
        "added": one.added,
        "verdict": one.verdict.name,
        "evidence": one.verdict.evidence,
    }


def _changed(arrival: Arrival, recorded: Sequence[Recorded]) -> Iterator[Entry]:
    changed = [(one.row.series_uid, each) for one in recorded for each in one.changed]
    if changed:
        instances = [{"series_uid": uid, **each._asdict()} for uid, each in changed[:_LISTED]]
        yield entry(Kind.INSTANCES_CHANGED, arrival.id, {"count": len(changed), "instances": instances})


def _incomplete(arrival: Arrival, recorded: Sequence[Recorded], rules: config_keys.Series) -> Iterator[Entry]:
    short = [one for one in recorded if not enough(one.expected.name, rules.require)]
    if short:
        data: SeriesIncomplete = {
            "required": rules.require,
            "count": len(short),
            "series": [_series(one) for one in short[:_LISTED]],
        }
        yield entry(Kind.SERIES_INCOMPLETE, arrival.id, data)
