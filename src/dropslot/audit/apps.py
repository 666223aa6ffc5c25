"""Django app of the audit trail."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.audit"
    label = "dropslot_audit"
    verbose_name = "dropslot: audit trail"
    default_auto_field = "django.db.models.BigAutoField"
