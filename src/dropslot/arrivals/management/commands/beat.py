"""`manage.py beat`: what `dropslot beat` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
