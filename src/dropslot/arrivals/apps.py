"""Django app of the arrivals."""

from django.apps import AppConfig


class ArrivalsConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.arrivals"
    label = "dropslot_arrivals"
    verbose_name = "dropslot: arrivals and deliveries"
    default_auto_field = "django.db.models.BigAutoField"
