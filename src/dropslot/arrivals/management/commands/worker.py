"""`manage.py worker`: what `dropslot worker` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
