"""The first page: each role finds what it needs, the most urgent first, and nothing else."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from ulid import ULID

from dropslot import portal
from dropslot.access import accounts
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals import candidates
from dropslot.arrivals.listings import failures
from dropslot.arrivals.listings.times_of_ids import first_id
from dropslot.arrivals.models import Arrival, Candidate, Delivery, Duty, Upload
from dropslot.portal.homes.days import DAYS
from dropslot.portal.verifying import runs
from portals import Site

PARTS = {
    "olga": "Operations",
    "augusta": "Find one file",
    "adam": "Administration",
    "sam": "Send files",
    "rita": "Your results",
    "stella": "This week",
    "nobody": "You have no role yet",
}


def page(site: Site, name: str, path: str = "/") -> str:
    answer = site.client(name).get(path)
    assert answer.status_code == 200, answer
    return html.unescape(answer.content.decode())


def fetch(delivery: Delivery, user: str = "clinic") -> Acknowledgment:
    return Acknowledgment.objects.create(
        id=f"{delivery.pk:026}",
        delivery=delivery,
        user=user,
        address="192.0.2.7",
        at=timezone.now(),
        evidence="whole",
        log="",
        line=b"",
        recorded_at=timezone.now(),
    )


@pytest.mark.parametrize("name", PARTS)
def test_each_role_has_its_own_first_page_even_when_nothing_happened_yet(site: Site, name: str) -> None:
    shown = page(site, name)
    assert [title for title in PARTS.values() if title in shown] == [
        title for who, title in PARTS.items() if who == name or (name == "adam" and who == "olga")
    ]


def test_nobody_who_is_not_signed_in_sees_the_first_page(site: Site) -> None:
    assert site.client("").get("/").status_code == 302
    assert site.client("").get("/home/operator/").status_code == 302


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize(
    "section", ["operator", "auditor", "administrator", "sender", "recipient", "study-runner"]
)
def test_a_part_is_given_only_to_its_role(site: Site, name: str, section: str) -> None:
    own = {
        "olga": {"operator"},
        "augusta": {"auditor"},
        "adam": {"operator", "administrator"},
        "sam": {"sender"},
    }
    own |= {"rita": {"recipient"}, "stella": {"study-runner"}, "nobody": set()}
    status = site.client(name).get(f"/home/{section}/").status_code
    assert status == (200 if section in own[name] else 404)


def test_a_sender_sees_every_step_of_an_upload(site: Site) -> None:
    site.drop("results", "north-1.pdf")
    site.deliver("sam")
    shown = page(site, "sam")
    assert "north-1.pdf" in shown
    assert "nobody has fetched it yet" in shown
    fetch(Delivery.objects.get())
    assert 'Fetched by <span class="name">clinic</span>' in page(site, "sam")


def test_a_sender_sees_what_waits_in_the_inbox(site: Site) -> None:
    Upload.objects.create(inbox=str(site.root / "results" / "inbox"), name="later.pdf", inode=1, sender="sam")
    Upload.objects.create(
        inbox=str(site.root / "results" / "inbox"), name="other.pdf", inode=2, sender="olga"
    )
    shown = page(site, "sam")
    assert "later.pdf" in shown
    assert "other.pdf" not in shown


def test_refusals_are_on_top_with_the_reason_and_what_to_do(site: Site, settings: Any) -> None:
    results = site.config.routes["results"].model_copy(update={"name_help": "Name it CLINIC-NUMBER.pdf"})
    settings.DROPSLOT = site.config.model_copy(update={"routes": site.config.routes | {"results": results}})
    site.drop("results", "bad.exe")
    site.drop("results", "north-1.pdf")
    site.deliver("sam")
    shown = page(site, "sam")
    assert shown.index("bad.exe") < shown.index("north-1.pdf")
    assert "What to do:" in shown
    assert "Name it CLINIC-NUMBER.pdf" in shown
    assert site.arrival("bad.exe").reason[0] in shown


def test_a_refusal_that_somebody_gave_up_is_no_longer_on_top(site: Site) -> None:
    site.drop("results", "bad.exe")
    site.deliver("sam")
    row = site.arrival("bad.exe")
    Arrival.objects.filter(pk=row.pk).update(evidence={"dismissed": {"at": "", "by": "x", "reason": "y"}})
    shown = page(site, "sam")
    assert "What to do" not in shown
    assert "Dismissed" in shown


def test_a_sender_does_not_see_the_uploads_of_others(site: Site) -> None:
    site.drop("results", "north-1.pdf")
    site.deliver("olga")
    assert "north-1.pdf" not in page(site, "sam")


def test_a_recipient_sees_new_results_first(site: Site) -> None:
    for number in (1, 2):
        site.drop("results", f"north-{number}.pdf", f"{number}".encode())
    site.drop("results", "south-1.pdf")
    site.deliver()
    fetch(Delivery.objects.get(item="north-1.pdf"), "rita")
    shown = page(site, "rita")
    assert shown.index("north-2.pdf") < shown.index("Fetched before") < shown.index("north-1.pdf")
    assert "south-1.pdf" not in shown
    assert 'fetched by <span class="name">rita</span>' in shown


def test_an_operator_sees_which_watcher_acts_and_which_stands_by(site: Site) -> None:
    duty = candidates.watching("study", str(site.root / "study/inbox"))
    until = timezone.now() + timedelta(seconds=9)
    for name in ("north.1:1:a", "south.2:2:b"):
        Candidate.objects.create(name=name, role="watcher", wants=[duty], version="1", until=until)
    Duty.objects.create(name=duty, holder="north.1:1:a", since=timezone.now())
    shown = page(site, "olga")
    assert "north (pid 1) acts; south (pid 2) stands by" in shown
    assert "nobody acts" in shown  # on the other route


def test_an_operator_sees_refusals_grouped_by_reason(site: Site) -> None:
    for number in (1, 2, 3):
        site.drop("results", f"north-{number}.exe", b"x" * number)
    site.drop("study", "unfit", {"scan": b"x"})
    site.deliver()
    shown = page(site, "olga")
    assert "Retry all 3" in shown
    assert shown.count('name="reason"') == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.exe: its name matches none of *.pdf", "b c.exe: its name matches none of *.pdf", True),
        ("No folder for 'x' at /a/b", "No folder for 'y' at /c", True),
        ("it has 12 items; 10 is the limit", "it has 1,300 items; 10 is the limit", True),
        ("the disk is full", "the server does not answer", False),
    ],
)
def test_reasons_are_alike_apart_from_names_and_numbers(one: str, other: str, same: bool) -> None:
    assert (failures.normal(one) == failures.normal(other)) is same


def test_an_operator_sees_what_lies_in_an_inbox_with_its_size(site: Site) -> None:
    site.drop("study", "heart-1", {"a": b"x" * 1500, "b": b"y" * 500})
    shown = page(site, "olga")
    assert "heart-1" in shown
    assert "2 files, 2.0 kB" in shown


def test_an_operator_of_one_route_sees_nothing_of_another(site: Site) -> None:
    site.account("rolf", "operator", routes=("results",))
    site.drop("study", "heart-1", {"scan": b"x"})
    site.drop("study", "unfit", {"scan": b"x"})
    site.deliver()
    site.drop("study", "heart-2", {"scan": b"x"})
    shown = page(site, "rolf")
    assert "heart-" not in shown
    assert "unfit" not in shown
    assert "Nothing is refused" in shown


def test_the_chart_counts_arrivals_by_the_day_they_came(site: Site) -> None:
    site.drop("study", "heart-1", {"scan": b"x"})
    site.deliver()
    row = site.arrival("heart-1")
    for days in (1, 2, 2, DAYS + 1):
        old = timezone.now() - timedelta(days=days)
        Arrival.objects.create(
            **{field.attname: getattr(row, field.attname) for field in Arrival._meta.fields}
            | {"id": first_id(old)[:-2] + f"{Arrival.objects.count():02}", "name": f"old-{days}"}
        )
    shown = page(site, "olga")
    assert re.findall(r": (\d+) arrivals?,", shown)[-3:] == ["2", "1", "1"]
    assert "at most 2 arrivals a day" in shown


def test_a_study_runner_sees_this_week_with_versions_and_the_command(site: Site) -> None:
    for content in (b"old", b"new"):
        site.drop("study", "heart-1", {"scan": content})
        site.deliver("sam")
    site.drop("study", "lung-1", {"scan": b"x"})
    site.deliver()
    shown = page(site, "stella")
    assert "2 arrivals" in shown
    assert "up to 2" in shown
    assert "dropslot latest study --link-into" in shown
    assert "lung" not in shown


def test_an_auditor_finds_a_file_by_name_id_and_digest(site: Site) -> None:
    site.drop("study", "heart-1", {"scan.txt": b"x"})
    site.deliver()
    row = Delivery.objects.get()
    for text in ("heart", "scan.t", row.sha256):
        assert f"/arrivals/{row.arrival_id}/" in page(site, "augusta", f"/find/?q={text}")
    answer = site.client("augusta").get(f"/find/?q={row.arrival_id.lower()}")
    assert answer.headers["Location"] == f"/arrivals/{row.arrival_id}/"
    assert "Nothing fits" in page(site, "augusta", "/find/?q=nothing-like-it")
    assert "Nothing fits" in page(site, "rita", "/find/?q=heart")


def test_an_administrator_sees_accounts_without_a_second_factor_and_without_a_role(site: Site) -> None:
    shown = page(site, "adam")
    without = shown[shown.index("without a second factor") : shown.index("without a role")]
    assert "olga" in without
    assert "nobody" in shown[shown.index("without a role") :]


def test_the_most_urgent_role_of_an_account_comes_first(site: Site) -> None:
    accounts.add(
        site.config, accounts.Wanted("sam", ("recipient",), folders=("north",), routes=("results",)), None
    )
    site.drop("results", "south.exe")
    site.deliver("sam")
    shown = page(site, "sam")
    assert shown.index("Send files") < shown.index("Your results")
    site.drop("results", "north-1.pdf")
    site.deliver()
    shown = page(site, "sam")
    assert shown.index("Your results") < shown.index("Send files")


def test_a_browser_that_has_the_part_already_gets_nothing_again(site: Site) -> None:
    shown = page(site, "olga")
    asked = re.findall(r'hx-get="(/home/operator/\?seen=\w+)"', shown)
    assert site.client("olga").get(asked[0]).status_code == 204
    assert site.client("olga").get("/home/operator/?seen=other").status_code == 200


def test_fifty_browsers_cost_one_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    found = failures.failed

    def counted(seen: Any) -> Any:
        looks.append(seen)
        return found(seen)

    monkeypatch.setattr(failures, "failed", counted)
    for _ in range(50):
        site.client("olga").get("/home/operator/")
    assert len(looks) == 1


def test_what_is_remembered_for_one_account_is_not_shown_to_another(site: Site) -> None:
    site.account("rolf", "operator", routes=("results",))
    site.drop("study", "unfit", {"scan": b"x"})
    site.deliver()
    assert "unfit" in page(site, "olga", "/home/operator/")
    assert "unfit" not in page(site, "rolf", "/home/operator/")


def test_an_account_that_was_closed_sees_nothing(site: Site) -> None:
    client = site.client("olga")
    User.objects.filter(username="olga").update(is_active=False)
    assert client.get("/").status_code == 302


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (
            ["a.exe: it matches none of *.pdf", "b.exe: it matches none of *.pdf"],
            "… it matches none of *.pdf",
        ),
        (["the name visit 7 is bad", "the name x is bad"], "the name … is bad"),
        (["only one of 12"], "only one of 12"),
        (["a b", "c d"], "…"),
    ],
)
def test_what_reasons_have_in_common_is_shown(texts: list[str], shown: str) -> None:
    assert failures.common(texts) == shown


def test_a_sender_has_the_drop_zone_on_the_first_page_and_others_do_not(site: Site) -> None:
    assert 'id="drop-zone"' in page(site, "sam")
    for name in ("olga", "augusta", "rita", "stella", "nobody"):
        assert 'id="drop-zone"' not in page(site, name)


def test_an_auditor_sees_how_the_last_verification_ended(site: Site) -> None:
    site.drop("study", "heart-1", {"scan": b"x"})
    site.deliver()
    assert "verified at" not in page(site, "augusta")
    folder = runs.folder_of(site.config)
    folder.mkdir(parents=True)
    ended = runs.Run(str(ULID()), "adam", "", True, "2026-01-01T00:00:00Z", outcome="faults", found=2)
    ended.ended_at = "2026-01-01T00:01:00Z"
    runs.save(site.config, ended)
    shown = page(site, "augusta")
    assert "Trail and stored files verified at" in shown
    later = runs.Run(str(ULID()), "adam", "", False, "2026-01-02T00:00:00Z", outcome="ok")
    runs.save(site.config, later)
    both = page(site, "augusta")
    assert (
        "Trail verified at" in both and "2 faults" in both
    )  # a later look at the trail hides no damaged file
    assert "2 faults" in shown


def test_each_block_of_the_style_sheet_is_closed() -> None:
    """Otherwise what comes after it is only for what the block is for, as for print."""
    text = (Path(portal.__file__).parent / "static" / "dropslot" / "portal.css").read_text("utf-8")
    assert text.count("{") == text.count("}")
    assert not re.findall(r"^[^ }/@][^{]*\{[^}]*$", text, re.MULTILINE)
