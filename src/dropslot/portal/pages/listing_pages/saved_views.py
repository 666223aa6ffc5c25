"""Filters that somebody has given a name."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from dropslot.access.models import SavedView
from dropslot.portal.pages.listing_pages.listings import access_of, account_of
from dropslot.portal.pages.listing_pages.row_sources import ALL, Listing

_MOST = 50


@login_required
@require_POST
def save_view(request: HttpRequest, page: str) -> HttpResponse:
    """Keep the filter under a name; a name that exists already gets the new filter."""
    listing = _listing(request, page)
    name = request.POST.get("name", "").strip()
    query = _query(listing, request.POST.get("query", ""))
    mine = SavedView.objects.filter(user_id=account_of(request), page=page)
    if not name or len(name) > 100:
        messages.error(request, "The view was not saved: give it a name of at most 100 characters.")
    elif not query:
        messages.error(request, "The view was not saved: set a filter first.")
    elif mine.exclude(name=name).count() >= _MOST:
        messages.error(request, f"The view was not saved: you have {_MOST} of this page. Remove one first.")
    else:
        SavedView.objects.update_or_create(
            user_id=account_of(request), page=page, name=name, defaults={"query": query}
        )
        messages.success(request, "The view is saved.")
    return redirect(f"{reverse(f'dropslot:{page}')}?{query}")


@login_required
@require_POST
def remove_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one's own saved view."""
    view = get_object_or_404(SavedView, pk=pk, user_id=account_of(request))
    page = _listing(request, view.page).name
    view.delete()
    messages.success(request, "The view is removed.")
    return redirect(f"dropslot:{page}")


def _listing(request: HttpRequest, page: str) -> Listing:
    listing = ALL.get(page)
    if listing is None or not listing.allows(access_of(request)):
        raise Http404
    return listing


def _query(listing: Listing, text: str) -> str:
    """Only the filter's own fields: nothing else gets into an address of this portal."""
    given, made = QueryDict(text[:2000]), QueryDict(mutable=True)
    for name in listing.fields:
        if value := given.get(name, ""):
            made[name] = value
    return made.urlencode()
