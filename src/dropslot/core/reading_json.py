"""JSON from another machine, whose form nobody has promised."""

from __future__ import annotations

# What reading JSON and taking its parts may raise: another type, a missing key, too many levels, a number that is too
# large for what it is used for.
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError)
