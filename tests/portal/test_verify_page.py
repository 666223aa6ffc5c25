"""A verification is started on a page, goes on by itself, and its result stays."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime

import pytest
from django.urls import reverse
from ulid import ULID

from browsing import Faults, SignedIn, findings_in_each_look
from dropslot.audit import chain
from dropslot.audit.chain import timestamp
from dropslot.portal.verifying import job, runs, starting
from dropslot.portal.verifying.runs import AlreadyVerifying, Run
from payloads import body, events
from portals import Served, Site
from trail import tamper


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("results", "north-1.pdf", b"first")
    site.drop("study", "heart-1", {"scan/a.dcm": b"a", "scan/b.dcm": b"b"})
    site.deliver("sam")
    return site


def _run(site: Site, *, fixity: bool, against: str = "") -> Run:
    """A whole run, in this process."""
    with runs.locked(site.config):
        now = timestamp(datetime.now(UTC))
        run = Run(str(ULID()), "augusta", "127.0.0.1", fixity, now, against=against)
        runs.save(site.config, run)
        job.verify(site.config, run, seconds=0.01)
    found = runs.load(site.config, run.id)
    assert found is not None
    return found


def _page(site: Site, name: str, view: str, *args: str) -> str:
    response = site.client(name).get(reverse(f"dropslot:{view}", args=args))
    assert response.status_code == 200
    return body(response).decode()


def test_a_sound_installation_is_good(filled: Site) -> None:
    run = _run(filled, fixity=True)
    assert (run.outcome, run.files, run.size_bytes, run.found, run.receipts) == ("ok", 3, 7, 0, 2)
    page = _page(filled, "augusta", "verify_run", run.id)
    assert "every stored file has the bytes that were delivered" in page and run.head in page
    (event,) = events("verified")
    assert (event["by"], event["outcome"], event["files"], event["head"]) == ("augusta", "ok", 3, run.head)


def test_a_head_that_was_kept_elsewhere_shows_a_trail_that_was_written_anew(filled: Site) -> None:
    kept = str(chain.head())
    assert _run(filled, fixity=False, against=kept).outcome == "ok"
    run = _run(filled, fixity=False, against=f"{chain.head().seq}:{'0' * 64}")
    assert run.outcome == "faults"
    assert "kept elsewhere" in _page(filled, "augusta", "verify_run", run.id)
    answer = filled.client("olga").post(reverse("dropslot:verify_start"), {"head": "12:x"}, follow=True)
    assert "This is not a head" in body(answer).decode()
    assert len(runs.ids(filled.config)) == 2


def test_a_page_that_followed_a_verification_goes_to_its_result(filled: Site) -> None:
    url = reverse("dropslot:verify_run", args=[_run(filled, fixity=False).id])
    assert filled.client("olga").get(url, headers={"hx-request": "true"}).headers["HX-Redirect"] == url


def test_only_the_trail_may_be_checked(filled: Site) -> None:
    run = _run(filled, fixity=False)
    assert (run.outcome, run.files) == ("ok", 0) and run.events > 0
    assert "Nothing in the trail was changed" in _page(filled, "olga", "verify_run", run.id)


def test_faults_are_listed(filled: Site) -> None:
    stored = filled.root / "clinics" / "north" / "north-1.pdf"
    stored.chmod(0o600)
    stored.write_bytes(b"FIRST")
    (filled.root / "studies" / "heart" / "1" / "scan" / "a.dcm").unlink()
    tamper("UPDATE dropslot_event SET data = '{}' WHERE kind = 'claimed'")
    run = _run(filled, fixity=True)
    assert run.outcome == "faults" and run.found >= 4
    page = _page(filled, "augusta", "verify_run", run.id)
    for words in ("north-1.pdf", "it was changed", "it is gone", "its hash does not fit"):
        assert words in page
    assert events("verified")[0]["faults"] == run.found
    listed = _page(filled, "augusta", "verify")
    assert "2 damaged or missing files" in listed and "north-1.pdf" in listed and "dropslot mend" in listed


@pytest.mark.parametrize("view", ["verify", "verify_run", "verify_start", "verify_stop"])
@pytest.mark.parametrize("name", ["sam", "rita", "stella", "nobody", "otto"])
def test_only_who_sees_all_routes_verifies(filled: Site, view: str, name: str) -> None:
    """Faults name files of all routes."""
    filled.account("otto", "auditor", routes=("results",))
    run = _run(filled, fixity=False)
    url = reverse(f"dropslot:{view}", args=[run.id] if view in ("verify_run", "verify_stop") else [])
    client = filled.client(name)
    response = client.post(url) if view in ("verify_start", "verify_stop") else client.get(url)
    assert response.status_code == 404
    assert len(runs.ids(filled.config)) == 1


def test_there_is_one_at_a_time(filled: Site) -> None:
    with runs.locked(filled.config):
        assert runs.is_running(filled.config)
        with pytest.raises(AlreadyVerifying):
            starting.start(filled.config, by="olga", address="", fixity=False)
        response = filled.client("olga").post(reverse("dropslot:verify_start"), follow=True)
        assert "A verification is going on already" in body(response).decode()
    assert not runs.is_running(filled.config)


def test_one_whose_process_is_gone_was_interrupted(filled: Site) -> None:
    run = _run(filled, fixity=False)
    run.outcome, run.ended_at = "", ""
    runs.save(filled.config, run)
    assert "Interrupted" in _page(filled, "augusta", "verify_run", run.id)
    assert "Interrupted" in _page(filled, "augusta", "verify")


def test_a_running_one_tells_how_far_it_is(filled: Site) -> None:
    run = _run(filled, fixity=True)
    run.outcome, run.ended_at, run.step, run.files, run.size_bytes = "", "", "files", 1, 3
    runs.save(filled.config, run)
    with runs.locked(filled.config):
        page = _page(filled, "augusta", "verify")
        assert "The stored files: 33 %" in page and "1 of 3" in page
        assert "hx-get" in page and "Verify now" not in page


def test_an_error_is_told(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk does not answer")

    monkeypatch.setattr("dropslot.keeping.fixity.stored_files.check_all", broken)
    run = _run(filled, fixity=True)
    assert (run.outcome, run.error) == ("failed", "the disk does not answer")
    assert "the disk does not answer" in _page(filled, "olga", "verify_run", run.id)


@pytest.mark.parametrize("pk", ["nothing", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "..%2f..%2fx"])
def test_a_run_that_is_not_there_is_not_found(filled: Site, pk: str) -> None:
    assert filled.client("olga").get(reverse("dropslot:verify_run", args=[pk])).status_code == 404


def test_old_runs_are_forgotten(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", 2)
    kept = [_run(filled, fixity=False).id for _ in range(4)]
    runs.forget_old(filled.config)
    assert runs.ids(filled.config) == sorted(kept, reverse=True)[:2]


def test_a_broken_file_of_a_run_breaks_no_page(filled: Site) -> None:
    run = _run(filled, fixity=False)
    (runs.folder_of(filled.config) / f"{run.id}.json").write_text(json.dumps({"id": run.id, "odd": 1}))
    assert "Nothing has been verified here yet" in _page(filled, "olga", "verify")


def test_an_auditor_verifies_in_a_browser(signed_in: SignedIn, served: Served, faults: Faults) -> None:
    inbox = served.product.root / "results" / "inbox"
    (inbox / "north-1.pdf").write_bytes(b"first")
    served.product.run("drain", "--now")
    page = signed_in("auditor")
    page.goto("/verify/")
    assert findings_in_each_look(page) == []
    page.get_by_label(re.compile("every stored file")).check()
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text("Good", exact=True).wait_for()
    page.goto("/verify/")
    page.locator("td a").first.click()
    page.get_by_text("every stored file has the bytes that were delivered").wait_for()
    assert findings_in_each_look(page) == []
    stored = served.product.root / "clinics" / "north" / "north-1.pdf"
    os.chmod(stored, 0o600)
    stored.write_bytes(b"FIRST")
    page.goto("/verify/")
    page.get_by_label(re.compile("every stored file")).check()
    page.get_by_role("button", name="Verify now").click()
    page.get_by_text("1 fault", exact=True).wait_for()
    page.get_by_text("it was changed: delivered").wait_for()
    assert findings_in_each_look(page) == []
