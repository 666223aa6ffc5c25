"""`manage.py hold`: what `dropslot hold` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
