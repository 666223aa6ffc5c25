"""`manage.py init`: what `dropslot init` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
