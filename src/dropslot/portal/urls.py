"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.api.health import health
from dropslot.portal.pages import account, archive, home, known, payloads, proof, tokens, users

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("deliveries/", archive.archive, name="archive"),
    path("deliveries/<int:pk>/", archive.open_one, name="open"),
    path("deliveries/<int:pk>/look", archive.look, name="look"),
    path("deliveries/<int:pk>/picture", archive.picture, name="picture"),
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
    path("deliveries/<int:pk>/proof", proof.proof, name="proof"),
    path("deliveries/<int:pk>/proof.zip", proof.proof_bundle, name="proof_bundle"),
    path("known/", known.known, name="known"),
    path("arrivals/<str:pk>/proof", proof.arrival_proof, name="arrival_proof"),
    path("arrivals/<str:pk>/proof.zip", proof.arrival_proof_bundle, name="arrival_proof_bundle"),
]
