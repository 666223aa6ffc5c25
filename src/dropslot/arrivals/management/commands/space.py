"""`manage.py space`: what `dropslot space` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
