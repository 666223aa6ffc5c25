"""`manage.py addtoken`: what `dropslot addtoken` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
