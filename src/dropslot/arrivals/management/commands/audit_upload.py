"""`manage.py audit_upload`: what `dropslot audit_upload` does."""

from dropslot.arrivals.management.bridge import Command

__all__ = ["Command"]
