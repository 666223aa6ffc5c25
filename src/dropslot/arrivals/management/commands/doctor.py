"""`manage.py doctor`: what `dropslot doctor` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
