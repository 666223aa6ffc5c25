"""What a role of an account means, for people. The trail and the commands list the same by `str(grant)`."""

from __future__ import annotations

from dropslot.access.models import Grant
from dropslot.access.roles import Role


def in_words(grant: Grant) -> str:
    """`recipient of folder clinic12, route results`; `study runner of heart, all routes`."""
    where = f"route {grant.route}" if grant.route else "all routes"
    return f"{grant.role.replace('-', ' ')}{_bound(grant)}, {where}"


def _bound(grant: Grant) -> str:
    if grant.role == Role.RECIPIENT:
        return f" of folder {grant.folder}"
    if grant.role != Role.STUDY_RUNNER:
        return ""
    return f" of {grant.value}" if grant.field == "study" else f" of {grant.field} {grant.value}"
