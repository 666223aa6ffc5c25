"""The form in which somebody chooses what to be told of."""

from __future__ import annotations

from typing import Any

from django import forms

from dropslot.access.roles import SEES_ROUTE, Role
from dropslot.access.seen import Access
from dropslot.notify.channels.target import Target, own_target_of
from dropslot.notify.hours import quiet_of
from dropslot.notify.models import Preference
from dropslot.notify.news import News
from dropslot.notify.section import notify_of

_DEFAULT, _OWN, _NOTHING = "default", "own", "nothing"
_MAIL, _ADDRESS = "mail", "address"
_OFFERED = {
    News.FAILED: "An arrival was refused",
    News.DONE: "An arrival was delivered",
    News.RETRYING: "Arrivals cannot be delivered for too long",
    News.WAITING: "Arrivals wait too long",
    News.UNACKNOWLEDGED: "Deliveries are not fetched in time",
    News.SPACE: "A disk, a folder or a study is nearly full",
    News.INSTANCES_CHANGED: "An image came again with other bytes",
    News.TROUBLE: "Anything else is wrong: a program is down, a check found something",
}
_HOURS = "Such as 22:00-07:00. What happens then is in the first message afterwards."
# For those who see whole routes, and for those who see what studies need.
_OF_ROUTES = frozenset({News.TROUBLE, News.INSTANCES_CHANGED, News.RETRYING, News.WAITING})
_OF_STUDIES = frozenset({News.UNACKNOWLEDGED, News.SPACE})


class Wishes(forms.Form):
    """`wish` is what was chosen before; None: nothing was."""

    how = forms.ChoiceField(
        label="What you are told of",
        choices=[
            (_DEFAULT, "What the operators have set for senders and studies"),
            (_OWN, "What I choose here"),
            (_NOTHING, "Nothing"),
        ],
        widget=forms.RadioSelect,
    )
    kinds = forms.MultipleChoiceField(
        label="What I choose", required=False, widget=forms.CheckboxSelectMultiple
    )
    routes = forms.MultipleChoiceField(
        label="Of these routes",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: all that you may see.",
    )
    digest = forms.ChoiceField(
        label="A summary with numbers, and with the signed head of the audit trail",
        required=False,
        choices=[("", "None"), ("daily", "Each morning"), ("weekly", "On Monday morning")],
        widget=forms.RadioSelect,
    )
    where = forms.ChoiceField(label="Where", choices=[(_MAIL, ""), (_ADDRESS, "")], widget=forms.RadioSelect)
    target = forms.CharField(
        label="The other address",
        required=False,
        max_length=500,
        help_text="For Slack, Teams or a webhook: slack://… or jsons://hooks.lab.example/path, no mailto:."
        " It is not shown again.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    quiet = forms.CharField(
        label="Hours in which nothing is sent",
        required=False,
        max_length=20,
        help_text=_HOURS,
    )
    speaking = frozenset({"kinds", "routes", "digest", "target"})

    def __init__(self, access: Access, email: str, wish: Preference | None, data: Any = None) -> None:
        self._before = wish
        super().__init__(data, initial=_initial(wish))
        self._choose(
            "kinds", [(news.value, words) for news, words in _OFFERED.items() if _may_see(access, news)]
        )
        self._choose("routes", [(route.key, route.key) for route in access.routes()])
        mail = f"By mail to {email}" if email else "By mail (your account has no address yet)"
        other = "To another address" + (
            f": {Target(wish.target, is_own=True)}" if wish and wish.target else ""
        )
        if quiet := notify_of(access.config).quiet:
            self.fields["quiet"].help_text = f"{_HOURS} If this is empty: {quiet}."
        self._choose("where", [(_MAIL, mail), (_ADDRESS, other)])

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def clean_target(self) -> str:
        """The new address; empty: that of before."""
        text: str = self.cleaned_data["target"]
        try:
            return own_target_of(text).text if text else ""
        except ValueError as error:
            raise forms.ValidationError(_sentence(error)) from error

    def clean_quiet(self) -> str:
        text: str = self.cleaned_data["quiet"]
        try:
            return str(quiet_of(text)) if text else ""
        except ValueError as error:
            raise forms.ValidationError(_sentence(error)) from error

    def clean(self) -> dict[str, Any]:
        """An address is needed where one is chosen."""
        chosen: dict[str, Any] = super().clean() or self.cleaned_data
        has_one = chosen.get("target") or (self._before and self._before.target)
        if chosen.get("where") == _ADDRESS and not has_one and "target" not in self.errors:
            self.add_error("target", "Write the address here, or choose mail.")
        return chosen

    def values(self) -> dict[str, Any] | None:
        """What is kept of it; None: no choice of one's own."""
        chosen = self.cleaned_data
        own = chosen["target"] or (self._before.target if self._before else "")
        kept = {
            "kinds": {_DEFAULT: None, _OWN: chosen["kinds"], _NOTHING: []}[chosen["how"]],
            "routes": chosen["routes"] if chosen["how"] == _OWN else [],
            "target": own if chosen["where"] == _ADDRESS else "",
            "quiet": chosen["quiet"],
            "digest": chosen["digest"] if chosen["how"] != _NOTHING else "",
        }
        is_default = kept["kinds"] is None and not any((kept["target"], kept["quiet"], kept["digest"]))
        return None if is_default else kept

    def in_words(self) -> str:
        """For the trail, without the address."""
        kept = self.values()
        if kept is None:
            return "notifications: as the operators have set"
        kinds = "as the operators have set" if kept["kinds"] is None else ", ".join(kept["kinds"]) or "none"
        more = [f"summary {kept['digest']}"] if kept["digest"] else []
        more += [f"to {Target(kept['target'], is_own=True)}"] if kept["target"] else []
        return "; ".join((f"notifications: {kinds}", *more))


def _may_see(access: Access, news: News) -> bool:
    """Whether there ever is such news of what it sees."""
    if access.has(SEES_ROUTE):
        return True
    return news not in _OF_ROUTES and (news not in _OF_STUDIES or access.has({Role.STUDY_RUNNER}))


def _initial(wish: Preference | None) -> dict[str, Any]:
    if wish is None:
        return {"how": _DEFAULT, "where": _MAIL, "digest": "", "kinds": [News.FAILED.value]}
    return {
        "how": _DEFAULT if wish.kinds is None else _OWN if wish.kinds else _NOTHING,
        "kinds": wish.kinds or [],
        "routes": wish.routes,
        "digest": wish.digest,
        "where": _ADDRESS if wish.target else _MAIL,
        "quiet": wish.quiet,
    }


def _sentence(error: ValueError) -> str:
    words = str(error)
    return f"{words[:1].upper()}{words[1:]}."
