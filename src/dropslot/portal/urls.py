"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.portal.pages import home, upload

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("upload/", upload.upload, name="upload"),
]
