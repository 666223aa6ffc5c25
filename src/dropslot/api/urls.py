"""The addresses of the API, to be included under any prefix: `path("api/v1/", include("dropslot.api.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path
from django.views.decorators.csrf import csrf_exempt

from dropslot.api import docs
from dropslot.api.app import patterns
from dropslot.api.dicomweb import views as dicomweb
from dropslot.api.error_answers import unknown
from dropslot.api.tus import views

app_name = "dropslot_api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", docs.root, name="root"),
    path("docs", docs.page, name="docs"),
    path("openapi.json", docs.openapi, name="openapi"),
    path("tus/", views.collection, name="tus"),
    path("tus/checks", views.checks, name="tus_checks"),
    path("tus/batches/<str:batch>/finish", views.finish, name="tus_finish"),
    path("tus/batches/<str:batch>", views.batch, name="tus_batch"),
    path("tus/<str:ticket>/<str:part>", views.upload, name="tus_upload"),
    *patterns(),
    path("tus/", views.collection, name="tus"),
    path("tus/checks", views.checks, name="tus_checks"),
    path("tus/batches/<str:batch>/finish", views.finish, name="tus_finish"),
    path("tus/batches/<str:batch>", views.batch, name="tus_batch"),
    path("tus/<str:ticket>/<str:part>", views.upload, name="tus_upload"),
    path("dicomweb/studies", dicomweb.studies, name="stow"),
    path("dicomweb/studies/<str:study>", dicomweb.studies, name="stow_study"),
    re_path("", csrf_exempt(unknown)),  # the last: what is nothing else
]
