"""Django app of roles and tokens. Only the portal's settings have it: other commands need no accounts."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.access"
    label = "dropslot_access"
    verbose_name = "dropslot: roles and tokens"
    default_auto_field = "django.db.models.BigAutoField"
