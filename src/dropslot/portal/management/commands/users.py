"""`manage.py users`: what `dropslot users` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
