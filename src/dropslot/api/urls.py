"""The API's addresses, to be included under any prefix: `path("api/v1/", include("dropslot.api.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.api.tus import views

app_name = "dropslot_api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("tus/", views.collection, name="tus"),
    path("tus/checks", views.checks, name="tus_checks"),
    path("tus/batches/<str:batch>/finish", views.finish, name="tus_finish"),
    path("tus/batches/<str:batch>", views.batch, name="tus_batch"),
    path("tus/<str:ticket>/<str:part>", views.upload, name="tus_upload"),
]
