"""All addresses of the standalone portal: its pages, sign-in, API and the administration of accounts."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from dropslot.portal import administration

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/", include("dropslot.portal.account_urls")),
    path("api/v1/", include("dropslot.api.urls")),
    path("admin/", administration.site.urls),
    path("", include("dropslot.portal.urls")),
]

handler400 = "dropslot.portal.errors.bad_request"
handler403 = "dropslot.portal.errors.forbidden"
handler404 = "dropslot.portal.errors.not_found"
handler500 = "dropslot.portal.errors.failed"
