"""`manage.py mend`: what `dropslot mend` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
