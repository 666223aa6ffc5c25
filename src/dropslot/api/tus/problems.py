"""What an upload is answered when it cannot go on: each says what happened and what to do next."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from dropslot.api.problems import problem

CHECKSUM_MISMATCH = 460  # of the tus protocol
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Problem(Exception):
    """An answer of the API that is an error (RFC 9457)."""

    def __init__(
        self, status: int, title: str, next_step: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.next_step = status, title, next_step
        self.headers, self.more = headers or {}, more

    def response(self) -> HttpResponse:
        """As it is sent."""
        answer = problem(self.status, self.title, self.next_step, **self.more)
        for name, value in self.headers.items():
            answer[name] = value
        return answer


class Refused(Problem):
    """An answer that the rest of the API gives as well."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__(answer.status_code, "", "")
        self._answer = answer

    def response(self) -> HttpResponse:
        return self._answer


def unknown() -> Problem:
    """There is no such upload, or it is another account's."""
    return Problem(404, "There is no such upload", "Begin the upload anew")


def busy() -> Problem:
    """Another request is writing the same upload."""
    return Problem(
        423,
        "Another request is writing this upload",
        "Wait until it has ended, then ask for the offset and go on there",
        headers={"Retry-After": "2"},
    )


def expired() -> Problem:
    """It waited for longer than `keep_uploads`."""
    return Problem(410, "This upload waited too long and was removed", "Begin the upload anew")


def of_storage(error: OSError) -> Problem:
    """For an error of the file system that holds the inbox."""
    if error.errno in _FULL:
        return Problem(
            507,
            "The disk of the inbox is full",
            "What was received is kept. Tell the operators to free space, then resume",
        )
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return Problem(409, "Somebody has changed this upload on the server", "Cancel it, and begin it anew")
    if error.errno == errno.ENAMETOOLONG:
        return Problem(
            422, "A name is too long for the file system of the inbox", "Send it with a shorter one"
        )
    return Problem(
        503,
        f"The inbox cannot be written now: {os.strerror(error.errno or 0)}",
        "Nothing that was received is lost. Try again in a minute; if it stays like this, tell the operators",
        headers={"Retry-After": "30"},
    )


def or_problem(do: Callable[[], HttpResponse]) -> HttpResponse:
    """What `do` answers, or the problem that it raises."""
    try:
        return do()
    except Problem as found:
        return found.response()
    except OSError as error:
        return of_storage(error).response()
