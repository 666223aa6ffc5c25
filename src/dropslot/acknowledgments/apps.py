"""Django app of the acknowledgments."""

from django.apps import AppConfig


class AcknowledgmentsConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.acknowledgments"
    label = "dropslot_acknowledgments"
    verbose_name = "dropslot: acknowledgments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Give history its columns, and the service its reader."""
        from dropslot.acknowledgments import history, schedule
        from dropslot.arrivals import additions

        additions.acknowledged_by(history.AcknowledgedHistory())
        additions.served_by("log-reader", schedule.wanted, schedule.serve)
