"""The project's pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def home(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return HttpResponse("the clinic's own page")


urlpatterns = [
    path("", home),
    path("welcome/", LoginView.as_view()),
    path("goodbye/", LogoutView.as_view()),
    path("account/", include("allauth.urls")),
    path("drop/", include("dropslot.portal.urls")),
    path("drop/api/v1/", include("dropslot.api.urls")),
]
