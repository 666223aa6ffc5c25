"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.api.health import health
from dropslot.api.metrics.view import metrics
from dropslot.portal.pages import (
    account,
    exports,
    home,
    listings,
    saved_views,
    tokens,
    undoing,
    upload,
    users,
)

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("upload/", upload.upload, name="upload"),
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
    path("health", health, name="health"),
    path("metrics", metrics, name="metrics"),
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
]
