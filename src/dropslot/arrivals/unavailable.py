"""What Django raises while the database accepts nothing: what is to be recorded is kept, and tried again."""

from django.db import InterfaceError, InternalError, OperationalError

# InternalError: PostgreSQL is read-only for a time, as a standby is before its promotion.
UNAVAILABLE = (OperationalError, InterfaceError, InternalError)
