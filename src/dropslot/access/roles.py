"""The roles of people, and what each of them may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The value is what is stored, and what `adduser --role` takes."""

    SENDER = "sender"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    RECIPIENT = "recipient"
    STUDY_RUNNER = "study-runner"
    ADMINISTRATOR = "administrator"
    REIDENTIFIER = "reidentifier"


# Who sees everything of a route, whoever sent it and wherever it went.
SEES_ROUTE = frozenset({Role.OPERATOR, Role.AUDITOR, Role.ADMINISTRATOR})
# Who may open and download what was delivered. A sender sees what became of an upload, but cannot take it out again.
OPENS = frozenset({*SEES_ROUTE, Role.RECIPIENT, Role.STUDY_RUNNER})
UPLOADS = frozenset({Role.SENDER, Role.OPERATOR, Role.ADMINISTRATOR})
OPERATES = frozenset({Role.OPERATOR, Role.ADMINISTRATOR})
AUDITS = frozenset({Role.AUDITOR, Role.ADMINISTRATOR})
# Who may see the originals of de-identified values. No other role may, the administrator's neither.
REIDENTIFIES = frozenset({Role.REIDENTIFIER})


class Scope(StrEnum):
    """What a token may be used for; it never allows more than its account may do."""

    READ = "read"
    UPLOAD = "upload"
    OPERATE = "operate"
    REIDENTIFY = "reidentify"
