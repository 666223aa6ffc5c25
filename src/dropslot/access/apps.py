"""Django app of roles and tokens."""

from django.apps import AppConfig, apps


class AccessConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.access"
    label = "dropslot_access"
    verbose_name = "dropslot: roles and tokens"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Begin to listen to sign-ins and sign-outs."""
        from dropslot.access.signing_in import sessions  # noqa: F401

        if apps.is_installed("allauth.account") and apps.is_installed("allauth.mfa"):
            from dropslot.access.signing_in import entrances  # noqa: F401
        if apps.is_installed("allauth.socialaccount"):
            from dropslot.access.signing_in import provider_accounts  # noqa: F401
