"""Arrivals that wait for the rest of their series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import transaction
from django.utils import timezone

from dropslot.arrivals.importers import NotYet
from dropslot.arrivals.models import Arrival
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.core.showing.quantities import CHUNK, chunks
from dropslot.core.states import State
from dropslot.dicom.importing import config_keys, known_instances
from dropslot.dicom.importing.found import FoundSeries
from dropslot.dicom.importing.header_columns import column
from dropslot.dicom.importing.verdicts import enough, fact_of, judge
from dropslot.dicom.models import Awaited
from dropslot.files.walk import MAX_FAULTS


class SeriesIncomplete(NotYet):
    """A series is not as complete as its route requires, and the rest may still come."""

    code = "series-incomplete"


def require_complete(arrival: Arrival, series: Sequence[FoundSeries], rules: config_keys.Series) -> None:
    """Raise SeriesIncomplete while the arrival waits for the rest of its series, and Refused if it has waited long
    enough and its route then refuses it."""
    if rules.require == "INCOMPLETE":
        return
    reasons = list(_missing(arrival, series, rules))
    left = (arrival.received_at + rules.wait - timezone.now()).total_seconds()
    if reasons and left > 0:
        _note(arrival, series)
        error = SeriesIncomplete(
            "; ".join(reasons[:MAX_FAULTS]),
            where="Nothing of the arrival was delivered; it waits in processing",
            next_step=f"It is delivered when the rest has come; otherwise, after {_in_words(left)},"
            f" {'it is refused' if rules.then == 'refuse' else 'it is delivered as it is'}",
        )
        error.again_in = left
        raise error
    if reasons and rules.then == "refuse":
        raise Refused(reasons[:MAX_FAULTS])
    if _others(arrival, series):
        _note(arrival, series)  # they count it also while its delivery takes long, or waits for its release


def _missing(arrival: Arrival, series: Sequence[FoundSeries], rules: config_keys.Series) -> Iterator[str]:
    for one in series:
        rows = known_instances.rows_of(arrival.route, one)
        before = known_instances.with_awaited(known_instances.recorded(rows, arrival.id), one, arrival)
        verdict = judge(one.instances, before, known_instances.listed_of(arrival.route, one))
        if not enough(verdict.name, rules.require):
            yield (
                f"Series {escape(one.uid)} is {verdict.name}, and the route requires {rules.require}:"
                f" {'; '.join(verdict.evidence)}"
            )


def _note(arrival: Arrival, series: Sequence[FoundSeries]) -> None:
    """Note what waits here, so that others of the series count it, and let those that wait look again."""
    rows = [
        Awaited(
            arrival=arrival,
            route=arrival.route,
            series_uid=column(one.uid, 200),
            sop_uid=instance.sop_uid,
            study_uid=instance.study_uid,
            patient_id=instance.patient[0],
            issuer=instance.patient[1],
            **fact_of(instance)._asdict(),
        )
        for one in series
        for instance in one.instances
    ]
    with transaction.atomic():
        if Awaited.objects.filter(arrival=arrival).count() != len(rows):
            Awaited.objects.filter(arrival=arrival).delete()
            Awaited.objects.bulk_create(rows, batch_size=CHUNK)
            _wake(arrival, series)


def wake_others(arrival: Arrival, series: Sequence[FoundSeries]) -> None:
    """Forget what this arrival waited with, and let others that wait for these series look again at once."""
    Awaited.objects.filter(arrival=arrival).delete()
    _wake(arrival, series)


def _wake(arrival: Arrival, series: Sequence[FoundSeries]) -> None:
    for some in chunks(sorted(_others(arrival, series)), CHUNK):
        Arrival.objects.filter(id__in=some, state=State.RETRYING).update(due_at=timezone.now())


def _others(arrival: Arrival, series: Sequence[FoundSeries]) -> set[str]:
    """Other arrivals that are noted with these series, which may be as many as there are files."""
    found: set[str] = set()
    for uids in chunks([column(one.uid, 200) for one in series if not one.is_named_for_folder], CHUNK):
        rows = Awaited.objects.filter(route=arrival.route, series_uid__in=uids).exclude(arrival=arrival)
        found.update(rows.values_list("arrival_id", flat=True).distinct())
    return found


def _in_words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
