"""Accounts and their roles: made by a command, or by an administrator on a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from dropslot.access.models import Grant
from dropslot.access.roles import Role
from dropslot.access.visit_trail import of_command, record_rights
from dropslot.config import Config
from dropslot.config.mistakes.remedies import in_words
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

_MOVED = "mail address set"  # not the address itself: the trail is for ever


class BadAccount(DropslotError):
    """An account, role or password that cannot be; nothing was changed."""

    code = "bad-account"


class Wanted(NamedTuple):
    """An account as it is asked for. Each role is for each route; `folders` are a recipient's, `studies` a study
    runner's: `heart` means the field `study`, `site=b` another field."""

    name: str
    roles: tuple[str, ...]
    routes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    email: str = ""


@dataclass(frozen=True)
class Made:
    """An account with its new roles; `needs_password` if nobody can sign in with it yet."""

    user: Any
    grants: tuple[Grant, ...]
    is_new: bool
    needs_password: bool

    def in_words(self) -> Iterator[str]:
        """One line each, for a terminal."""
        what = "is new" if self.is_new else "existed already"
        yield f"The account {escape(self.user.get_username())} {what}. It has the roles:"
        for grant in self.grants:
            yield f"  {escape(str(grant))}"


def read_password(path: Path) -> str:
    """The first line of a file; `-` is standard input. Raises BadAccount."""
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = in_words(error, path) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadAccount(f"The password file {path} cannot be read: {why}") from error
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise BadAccount(
            f"The password file {path} is empty", next_step="Write the password on its first line"
        )
    return password


def add(
    config: Config, wanted: Wanted, password: str | None = None, who: Mapping[str, str] | None = None
) -> Made:
    """Make the account unless it is there, and give it the roles that it lacks. Raises BadAccount.

    `who` asks for it (`visit_trail.visit`); without it, the account of the system that runs this command. An event.
    """
    grants = grants_of(config, wanted)
    with transaction.atomic():
        user = find(wanted.name)
        is_new = user is None
        if user is None:
            _require_other_name(wanted.name)
            user = get_user_model()(**{get_user_model().USERNAME_FIELD: wanted.name})
            user.set_unusable_password()
        is_moved = bool(wanted.email) and wanted.email != email_of(user)
        if is_moved:
            setattr(user, user.get_email_field_name(), wanted.email)
        if password is not None:
            _set_password(user, password)
        _check(user, is_new=is_new)
        user.save()
        made = [Grant.objects.get_or_create(user=user, **grant) for grant in grants]
        changes = [
            *(["account made"] if is_new else []),
            *(["password set"] if password is not None else []),
            *([_MOVED] if is_moved and not is_new else []),
            *(f"role added: {grant}" for grant, is_added in made if is_added),
        ]
        if changes:
            record_rights(who or of_command(), wanted.name, "; ".join(changes))
    needs_password = not user.has_usable_password() and not hasattr(user, "dropslot_directory")
    return Made(user, tuple(grant for grant, _ in made), is_new, needs_password)


def email_of(user: Any) -> str:
    """An account's address of mail; empty if it has none."""
    return str(getattr(user, user.get_email_field_name(), "") or "")


def set_email(user: Any, email: str, who: Mapping[str, str]) -> None:
    """Give an account another address of mail, or none, as an event: links that set the password are sent there.

    Raises BadAccount.
    """
    if email == email_of(user):
        return
    with transaction.atomic():
        setattr(user, user.get_email_field_name(), email)
        _check(user, is_new=False)
        user.save(update_fields=[user.get_email_field_name()])
        record_rights(who, user.get_username(), _MOVED if email else "mail address removed")


def _require_other_name(name: str) -> None:
    """Raise BadAccount for a name that differs from another in letter case alone: the sign-in takes either."""
    users = get_user_model()
    other = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__iexact": name}).first()
    if other is not None:
        raise BadAccount(
            f"There is an account {other.get_username()} already", next_step="Letter case makes no difference"
        )


def find(name: str) -> Any:
    """The account of this name, or None."""
    users = get_user_model()
    return users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()


def _check(user: Any, *, is_new: bool) -> None:
    try:
        user.full_clean(validate_unique=is_new, exclude=["password"])
    except ValidationError as error:
        raise BadAccount("; ".join(error.messages), where="Nothing was changed") from error


def _set_password(user: Any, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadAccount(" ".join(error.messages), where="Nothing was changed") from error
    user.set_password(password)


def grants_of(config: Config, wanted: Wanted) -> list[dict[str, Any]]:
    """The columns of the roles that are asked for. Raises BadAccount."""
    return list(_grants(config, wanted))


def _grants(config: Config, wanted: Wanted) -> Iterator[dict[str, Any]]:
    for name in wanted.roles:
        role = role_of(name)
        for route in wanted.routes or ("",):
            if route and route not in config.routes:
                raise BadAccount(
                    f"config.yaml has no route {route}",
                    next_step=f"Its routes: {', '.join(config.routes)}",
                )
            for bound in _bounds(role, wanted):
                yield {"role": role.value, "route": route, **bound}


def role_of(name: str) -> Role:
    """The role that a word means; raises BadAccount."""
    try:
        return Role(name.replace("_", "-"))
    except ValueError:
        raise BadAccount(f"{name} is not a role", next_step=f"One of {', '.join(Role)}") from None


def _bounds(role: Role, wanted: Wanted) -> Iterator[dict[str, str]]:
    """What the role is bound to besides its route."""
    if role == Role.RECIPIENT:
        if not wanted.folders:
            raise BadAccount(
                "A recipient needs a folder", next_step="Add --folder F, the folder below the destination"
            )
        yield from ({"folder": folder.strip("/")} for folder in wanted.folders)
    elif role == Role.STUDY_RUNNER:
        if not wanted.studies:
            raise BadAccount("A study runner needs a study", next_step="Add --study S, as in --study heart")
        for study in wanted.studies:
            field, equals, value = study.partition("=")
            yield {"field": field, "value": value} if equals else {"field": "study", "value": study}
    else:
        yield {}
