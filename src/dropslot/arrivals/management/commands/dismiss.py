"""`manage.py retry`: what `dropslot retry` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
