"""Forms of accounts and roles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from django import forms

from dropslot.access.accounts import Wanted
from dropslot.access.roles import Role
from dropslot.config import Config
from dropslot.core.templates import Template
from dropslot.lookup.models import Folder

_HINTED = 300  # folders
_WORDS = {
    Role.SENDER: "sender: sends files, and sees what became of them",
    Role.RECIPIENT: "recipient: fetches what was delivered to a folder",
    Role.STUDY_RUNNER: "study runner: sees one study",
    Role.OPERATOR: "operator: watches, retries and dismisses",
    Role.AUDITOR: "auditor: sees everything, changes nothing",
    Role.ADMINISTRATOR: "administrator: all of this, and gives roles",
}


class NewRole(forms.Form):
    """One role for one route or for all."""

    role = forms.ChoiceField(label="Role", choices=[(role.value, words) for role, words in _WORDS.items()])
    route = forms.ChoiceField(label="Route", required=False)
    folder = forms.CharField(
        label="Folder",
        required=False,
        help_text="For a recipient: the folder below the destination.",
        widget=forms.TextInput(attrs={"list": "folders", "autocomplete": "off"}),
    )
    study = forms.CharField(
        label="Study",
        required=False,
        help_text="For a study runner: the study, such as heart. For another field: FIELD=VALUE.",
    )

    def __init__(self, config: Config, data: Any = None) -> None:
        super().__init__(data)
        routes = [("", "all routes"), *((key, key) for key in config.routes)]
        self.fields["route"].choices = routes  # type: ignore[attr-defined]
        self.folders = sorted(set(islice(_folders(config), _HINTED)))

    def wanted(self, name: str, email: str = "") -> Wanted:
        """The role as `accounts.add` takes it."""
        chosen = self.cleaned_data
        few = {key: (value,) if value else () for key, value in chosen.items()}
        return Wanted(name, few["role"], few["route"], few["folder"], few["study"], email)


class NewAccount(NewRole):
    """An account with its first role."""

    name = forms.CharField(label="Name", max_length=150, help_text="What the person signs in with.")
    email = forms.EmailField(
        label="Mail address", required=False, help_text="Where a link is sent if the password is lost."
    )
    field_order = ("name", "email")

    def wanted(self, name: str = "", email: str = "") -> Wanted:
        return super().wanted(name or self.cleaned_data["name"], email or self.cleaned_data["email"])


class NewAddress(forms.Form):
    """An account's address of mail; empty removes it."""

    email = forms.EmailField(
        label="Mail address", required=False, help_text="Where a link is sent if the password is lost."
    )


def _folders(config: Config) -> Iterator[str]:
    """Names that a recipient's folder may have: of the folder tables, and what lies in local destinations."""
    yield from Folder.objects.values_list("folder", flat=True).distinct().order_by("folder")[:_HINTED]
    for route in config.routes.values():
        for rule in route.deliver:
            yield from _beneath(Template(rule.to).fixed)


def _beneath(place: str) -> Iterator[str]:
    # Elsewhere than on a local disk it would mean to wait for another machine.
    if not place.startswith("/"):
        return
    with suppress(OSError), os.scandir(place) as entries:
        for entry in islice(entries, _HINTED):
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield entry.name
