"""Forms of accounts and roles."""

from __future__ import annotations

from typing import Any

from django import forms

from dropslot.access.accounts import Wanted
from dropslot.access.roles import Role
from dropslot.config import Config
from dropslot.portal.pages.accounts import known_folders

_WORDS = {
    Role.SENDER: "sender: sends files, and sees what became of them",
    Role.RECIPIENT: "recipient: fetches what was delivered to a folder",
    Role.STUDY_RUNNER: "study runner: sees one study",
    Role.OPERATOR: "operator: watches, retries and dismisses",
    Role.AUDITOR: "auditor: sees everything, changes nothing",
    Role.ADMINISTRATOR: "administrator: all of this, and gives roles",
    Role.REIDENTIFIER: "reidentifier: sees who de-identified patients are, with a reason",
}
_NEEDED = (
    (Role.RECIPIENT, "folder", "A recipient needs a folder: write its name here."),
    (Role.STUDY_RUNNER, "study", "A study runner needs a study: write its name here."),
)


class NewRole(forms.Form):
    """One role for one route or for all."""

    role = forms.ChoiceField(
        label="Role",
        choices=[(role.value, words) for role, words in _WORDS.items()],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose a role."},
    )
    route = forms.ChoiceField(label="Route", required=False)
    folder = forms.CharField(
        label="Folder of a recipient",
        required=False,
        help_text="Its name below the destination, such as clinic12.",
        widget=forms.TextInput(attrs={"list": "folders", "autocomplete": "off"}),
    )
    study = forms.CharField(
        label="Study of a study runner",
        required=False,
        help_text="Such as heart. For another field: FIELD=VALUE.",
    )
    speaking = frozenset({"route", "folder", "study"})  # `fields` does not say of them that they may be empty

    def __init__(self, config: Config, data: Any = None) -> None:
        super().__init__(data)
        routes = [("", "all routes"), *((key, key) for key in config.routes)]
        self.fields["route"].choices = routes  # type: ignore[attr-defined]
        self.folders = known_folders.some(config)

    def clean(self) -> dict[str, Any]:
        """What a role needs is said at its field, in the page's words."""
        chosen: dict[str, Any] = super().clean() or self.cleaned_data
        for role, name, words in _NEEDED:
            if chosen.get("role") == role and not chosen.get(name, "").strip("/"):
                self.add_error(name, words)
        return chosen

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
