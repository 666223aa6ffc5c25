"""The filter of a listing as a page's address has it, and as the form shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from django.http import HttpRequest, QueryDict

from dropslot.access.seen import Access
from dropslot.arrivals.listings.queries import Filter
from dropslot.audit.kinds import Kind
from dropslot.core.asked import searchable
from dropslot.core.states import State
from dropslot.dicom.listings import image_filters as images
from dropslot.portal.words.states import told
from dropslot.portal.words.verdicts import VERDICTS

_LONGEST = 200
NAMES = ("search", "route", "state", "reading", "since", "until", "sender", "field", "kind")
_DAYS = ("since", "until", "dated_from", "dated_until")


@dataclass(frozen=True)
class Asked:
    """What an address asks for: `shown` are the form's fields that the listing has."""

    request: HttpRequest
    shown: tuple[str, ...]

    @cached_property
    def values(self) -> dict[str, str]:
        """The fields that are filled in."""
        given = {name: self.request.GET.get(name, "").strip()[:_LONGEST] for name in self.shown}
        return {name: value for name, value in given.items() if value}

    @cached_property
    def mistakes(self) -> dict[str, str]:
        """What is wrong with fields, in words; such a field narrows nothing."""
        found: dict[str, str] = {}
        for name in _DAYS:
            if name in self.values and _day(self.values[name]) is None:
                found[name] = "Write a day as 2026-03-01."
        if "field" in self.values and "=" not in self.values["field"]:
            found["field"] = "Write the field's name, =, and its value: study=heart."
        return found

    @property
    def is_detailed(self) -> bool:
        """Whether more than the search is filled in."""
        return any(name != "search" for name in self.values)

    @cached_property
    def filter(self) -> Filter:
        """For `listings.cursor_pages`."""
        given = {name: searchable(value) for name, value in self.values.items() if name not in self.mistakes}
        field, _, value = given.get("field", "").partition("=")
        zone = self.access.config.zone
        return Filter(
            search=given.get("search", ""),
            state=given.get("state", "") or given.get("reading", ""),
            route=given.get("route", ""),
            since=_begin(given.get("since", ""), zone),
            until=_begin(given.get("until", ""), zone, days=1),
            sender=given.get("sender", ""),
            field=(field.strip(), value.strip()) if field.strip() else None,
            kind=given.get("kind", ""),
        )

    @cached_property
    def images(self) -> images.Wanted:
        """For listings of images."""
        given = {
            name: text.replace("\0", "") for name, text in self.values.items() if name not in self.mistakes
        }
        return images.Wanted(
            search=given.get("search", ""),
            route=given.get("route", ""),
            patient=given.get("patient", ""),
            accession=given.get("accession", ""),
            modality=given.get("modality", ""),
            verdict=given.get("verdict", ""),
            uid=given.get("uid", ""),
            dated_from=given.get("dated_from", "").replace("-", ""),
            dated_until=given.get("dated_until", "").replace("-", ""),
            since=_begin(given.get("since", ""), self.access.config.zone),
        )

    @property
    def access(self) -> Access:
        found: Access = self.request.access  # type: ignore[attr-defined]
        return found

    @property
    def query(self) -> str:
        """The filter as an address has it, without the place in the listing."""
        made = QueryDict(mutable=True)
        made.update(self.values)
        return made.urlencode()

    def address(self, **more: str) -> str:
        """`?…`, with the filter and more."""
        made = QueryDict(mutable=True)
        made.update(self.values | more)
        return f"?{made.urlencode()}"

    def fields(self) -> list[dict[str, Any]]:
        """For the form, with their labels, choices and mistakes."""
        return [
            {
                "name": name,
                "label": _LABELS[name],
                "value": self.request.GET.get(name, ""),
                "choices": self._choices(name),
                "type": "date" if name in _DAYS else "text",
                "hint": _HINTS.get(name, ""),
                "mistake": self.mistakes.get(name, ""),
            }
            for name in self.shown
            if name != "search"
        ]

    def _choices(self, name: str) -> list[tuple[str, str]]:
        """Values with their words."""
        if name == "route":
            return [(route.key, route.key) for route in self.access.routes()]
        if name == "state":
            return [(state.value, told(state).word) for state in State]
        if name == "reading":
            return [(State.FAILED.value, "failed")]
        if name == "verdict":
            return [(name, verdict.word) for name, verdict in VERDICTS.items()]
        return [(kind, kind) for kind in sorted(kind.value for kind in Kind)] if name == "kind" else []


_LABELS = {
    "route": "Route",
    "state": "State",
    "reading": "State",
    "since": "From",
    "until": "Until",
    "sender": "Sender",
    "field": "Field",
    "kind": "Kind",
    "patient": "Patient",
    "accession": "Accession number",
    "modality": "Modality",
    "verdict": "Verdict",
    "uid": "UID",
    "dated_from": "Study from",
    "dated_until": "Study until",
}
_HINTS = {
    "field": "study=heart",
    "sender": "Account or machine",
    "patient": "Id, or part of a name",
    "modality": "CT",
    "uid": "Of a study, series or image",
}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _begin(text: str, zone: Any, days: int = 0) -> datetime | None:
    """The begin of a day, or of one after it, in the zone of the pages."""
    day = _day(text) if text else None
    if day is None:
        return None
    try:
        return datetime.combine(day + timedelta(days=days), time(), zone).astimezone(UTC)
    except OverflowError:
        return None
