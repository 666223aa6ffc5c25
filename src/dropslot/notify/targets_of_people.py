"""Where people are told: at the address of their account, or at one of their own."""

from __future__ import annotations

from typing import Any

from dropslot.notify.models import Preference


def target_of_user(user: Any, preference: Preference | None) -> str:
    """The text of the target at which an account is told; empty: nowhere."""
    if not user.is_active:
        return ""
    if preference is not None and preference.target:
        return preference.target
    address = getattr(user, user.get_email_field_name(), "") or ""
    return f"mailto:{address}" if address else ""
