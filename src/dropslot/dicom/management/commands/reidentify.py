"""`manage.py reidentify`: what `dropslot reidentify` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
