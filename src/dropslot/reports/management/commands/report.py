"""`manage.py report`: what `dropslot report` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
