"""Django app of the folder tables."""

from django.apps import AppConfig


class LookupConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.lookup"
    label = "dropslot_lookup"
    verbose_name = "dropslot: folder tables"
    default_auto_field = "django.db.models.BigAutoField"
