"""`manage.py run`: what `dropslot run` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
