"""`manage.py latest`: what `dropslot latest` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
