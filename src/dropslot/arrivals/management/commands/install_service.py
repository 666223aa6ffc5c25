"""`manage.py install_service`: what `dropslot install_service` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
