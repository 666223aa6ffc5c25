"""Sign-in and second factor: django-allauth's pages, without those for which an administrator is responsible here."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from dropslot.portal.pages.accounts import lost_password


def closed(_request: HttpRequest, **_: str) -> HttpResponse:
    """Addresses of mail and passwords besides a provider are an administrator's."""
    raise Http404


# First, so that they are found before allauth's own of the same address; names still lead to these addresses.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="dropslot:account")),
    path("password/reset/", lost_password.lost),
    path("password/reset/done/", lost_password.asked),
    path("password/set/", closed),
    path("email/", closed),
    path("confirm-email/", closed),
    path("confirm-email/<str:key>/", closed),
    path("login/code/confirm/", closed),
    path("reauthenticate/code/", closed),
    path("reauthenticate/code/confirm/", closed),
    path("3rdparty/signup/", closed),
    path("social/<path:key>/", closed),
    path("", include("allauth.urls")),
]
