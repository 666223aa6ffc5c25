"""Reasons say what is visible, whatever the place of the error knows of earlier attempts."""

from __future__ import annotations

from dropslot.arrivals.delivery.finish import PARTLY, describe
from dropslot.core.errors import DestinationUnready, Refused

ERROR = DestinationUnready(
    "The disk is away", where="Nothing of the arrival was delivered", next_step="Mount it"
)


def test_before_the_intent_nothing_was_delivered() -> None:
    assert describe(ERROR) == ["The disk is away. Nothing of the arrival was delivered. Mount it."]


def test_after_the_intent_some_may_be_there() -> None:
    assert describe(ERROR, committed=True) == [f"The disk is away. {PARTLY}. Mount it."]
    assert describe(Refused(["too long"]), committed=True) == ["too long", PARTLY]


def test_what_tells_more_stays() -> None:
    error = DestinationUnready("Moved", where="The staged data moved with it", next_step="Look")
    assert describe(error, committed=True) == [str(error)]
