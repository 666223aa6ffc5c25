"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.api.health import health
from dropslot.api.metrics.view import metrics
from dropslot.portal.pages import account, home, tokens, users

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
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
