"""The addresses of STOW-RS as Django's views."""

from __future__ import annotations

from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from dropslot.access.seen import Access
from dropslot.api.dicomweb import store_in_inbox, stow_response
from dropslot.api.dicomweb.multipart import Parts, boundary_of
from dropslot.api.tus import problems
from dropslot.api.tus.beforehand import upload_target
from dropslot.api.tus.bodies import Body
from dropslot.api.tus.problems import Problem
from dropslot.api.tus.who import uploader
from dropslot.dicom.receiving.config_keys import takes_studies
from dropslot.dicom.receiving.hidden_folders import is_uid
from dropslot.dicom.receiving.receptions import Peer


@csrf_exempt
def studies(request: HttpRequest, study: str = "") -> HttpResponse:
    """POST stores instances, all of one study if the address names it."""
    body = Body(request)
    response = problems.or_problem(lambda: _stored(request, body, study))
    if response.status_code >= 400:
        body.discard()
    response["Cache-Control"] = "no-store"
    return response


def _stored(request: HttpRequest, body: Body, study: str) -> HttpResponse:
    access = uploader(request)
    if request.method != "POST":
        raise Problem(405, "This address has no such method", "Use POST", headers={"Allow": "POST"})
    inbox = _inbox(access, request.GET.get("route", ""))
    if study and not is_uid(study):
        raise Problem(400, "The address has no valid StudyInstanceUID", "Correct it, or leave it out")
    boundary = boundary_of(request.headers.get("Content-Type", ""))
    sender = Peer(access.name, str(request.META.get("REMOTE_ADDR", "")))
    outcomes = store_in_inbox.store(inbox, sender, Parts(body, boundary), study)
    if not outcomes:
        raise Problem(400, "The body has no part", "Send each instance as a part of its own")
    return stow_response.answer(outcomes, request.headers.get("Accept", ""))


def _inbox(access: Access, key: str) -> Path:
    """That of the route which is named, or of the only one that takes studies. Raises Problem."""
    takes = [route.key for route in access.config.routes.values() if takes_studies(route)]
    mine = [one for one in takes if access.may_upload(one)]
    if not key and len(mine) == 1:
        (key,) = mine
    folders = upload_target.target(access, {"route": key})
    if key not in takes:
        raise Problem(422, f"Route {key} does not take studies", f"Say one as `?route=`: {', '.join(mine)}")
    return folders.inbox
