"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.api.health import health
from dropslot.api.metrics.view import metrics
from dropslot.portal.pages import (
    account,
    arrival,
    check,
    exports,
    finding,
    folders,
    home,
    listings,
    payloads,
    retrying,
    routes,
    saved_views,
    tokens,
    undoing,
    upload,
    users,
)

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("my-account/", account.account, name="account"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<str:id>/revoke/", tokens.revoke, name="revoke-token"),
    path("users/", users.users, name="users"),
    path("users/new/", users.new, name="new-user"),
    path("users/<int:id>/", users.user, name="user"),
    path("users/<int:id>/roles/", users.add_role, name="add-role"),
    path("users/<int:id>/roles/<int:grant>/remove/", users.remove_role, name="remove-role"),
    path("users/<int:id>/link/", users.make_link, name="user-link"),
    path("users/<int:id>/<str:what>/", users.change, name="change-user"),
    path("health", health, name="health"),
    path("deliveries/zip", payloads.download_zip, name="download_zip"),
    path("deliveries/<int:pk>/file", payloads.download, name="download"),
    path("arrivals/", listings.arrivals, name="arrivals"),
    path("history/", listings.history, name="history"),
    path("pending/", listings.pending, name="pending"),
    path("unfetched/", listings.unfetched, name="unfetched"),
    path("acknowledgments/", listings.acknowledgments, name="acknowledgments"),
    path("acknowledgments/<str:pk>/undo/", undoing.undo_acknowledgment, name="undo_acknowledgment"),
    path("log-readers/", listings.log_readers, name="log_readers"),
    path("trail/", listings.trail, name="trail"),
    path("export/<str:name>.<str:form>", exports.export, name="export"),
    path("views/<str:page>/", saved_views.save_view, name="save_view"),
    path("views/<int:pk>/remove/", saved_views.remove_view, name="remove_view"),
    path("upload/", upload.upload, name="upload"),
    path("metrics", metrics, name="metrics"),
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
