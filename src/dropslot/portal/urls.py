"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.portal.pages import arrival, check, finding, folders, home, retrying, routes

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("home/<slug:name>/", home.home_part, name="home_part"),
    path("find/", finding.find, name="find"),
    path("arrivals/retry/", retrying.retry_selected, name="retry_selected"),
    path("arrivals/retry-reason/", retrying.retry_reason, name="retry_reason"),
    path("arrivals/<slug:pk>/", arrival.arrival, name="arrival"),
    path("arrivals/<slug:pk>/live/", arrival.arrival_live, name="arrival_live"),
    path("arrivals/<slug:pk>/items/", arrival.arrival_items, name="arrival_items"),
    path("arrivals/<slug:pk>/receipt.<slug:kind>", arrival.arrival_receipt, name="arrival_receipt"),
    path("arrivals/<slug:pk>/retry/", retrying.retry, name="retry"),
    path("arrivals/<slug:pk>/dismiss/", retrying.dismiss, name="dismiss"),
    path("check/", check.check, name="check"),
    path("check/flag/", check.flag, name="flag_audited"),
    path("folders/", folders.folders, name="folders"),
    path("folders/preview/", folders.folders_preview, name="folders_preview"),
    path("folders/load/", folders.folders_load, name="folders_load"),
    path("routes/", routes.routes, name="routes"),
]
