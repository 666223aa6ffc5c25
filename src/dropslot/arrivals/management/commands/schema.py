"""`manage.py schema`: what `dropslot schema` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
