"""The portal's pages, to be included under any prefix: `path("drop/", include("dropslot.portal.urls"))`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dropslot.portal.pages import exports, home, listings, saved_views, undoing

app_name = "dropslot"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
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
]
