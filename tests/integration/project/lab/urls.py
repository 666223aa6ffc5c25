"""The project's pages."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def home(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return HttpResponse(f"the lab's own page for {request.path}")


urlpatterns = [path("", home)]
