"""`manage.py trust_host`: what `dropslot trust_host` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
