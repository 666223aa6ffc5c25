"""`manage.py verify`: what `dropslot verify` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
