"""`manage.py history`: what `dropslot history` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
