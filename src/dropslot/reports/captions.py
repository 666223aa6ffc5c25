"""Times of a report in words, and what its numbers mean: on the page and in the PDF."""

from __future__ import annotations

MEANINGS = (
    "Received: arrivals that were dropped in this month, whatever became of them later. Each is delivered, refused, or"
    " still open.",
    "Files: what these arrivals delivered, once for each destination. Files that were there already are not counted.",
    "Fetched: those files that a recipient has fetched whole so far; a dash: it is not known what is fetched.",
    "Times run from the drop to the delivery of the arrival, and from the drop to the first fetch of the file. Half of"
    " them took no longer than the median, 95 of 100 no longer than the 95th percentile.",
)


def took(seconds: int | None) -> str:
    """`under 1 s`, `42 s`, `14 min`, `5.2 h`, `3.1 d`; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds} s" if seconds else "under 1 s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} d"


def fetch_took(seconds: int | None) -> str:
    """The same for times that are known to a minute."""
    return "under 1 min" if seconds == 0 else took(seconds)
