"""The page Space: who sees which studies, how full they are, and what waits."""

from __future__ import annotations

import html
from typing import Any

import pytest

from dropslot.arrivals.space import tree_sizes
from dropslot.arrivals.space.watch import SpaceWatch
from dropslot.config import from_mapping
from portals import Site, routes


@pytest.fixture
def counted(site: Site, settings: Any) -> Site:
    """Studies with quotas: heart is 94 % full, lung has room; one arrival of heart does not fit."""
    known = routes(site.root)
    limits = {"of": str(site.root / "studies/{study}"), "quota": {"heart": 1000, "*": "1GB"}}
    known["study"]["deliver"][0]["space"] = limits
    content = {"data": str(site.root / "var"), "portal": {}, "routes": known}
    settings.DROPSLOT = site.config = from_mapping(content, site.root)
    for name, size in (("heart-1", 940), ("lung-1", 5000), ("heart-2", 500)):
        site.drop("study", name, {"scan": bytes(size)})
        site.deliver()
    return site


def page(site: Site, name: str, query: str = "") -> str:
    answer = site.client(name).get(f"/space/{query}")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def test_who_runs_a_study_sees_how_full_it_is_and_nothing_of_others(counted: Site) -> None:
    shown = page(counted, "stella")
    assert "study heart" in shown and "out of space" in shown and "94 %" in shown
    assert "940 B of 1.0 kB used" in shown and "1 arrival</a>, 500 B" in shown
    assert "lung" not in shown and str(counted.root) not in shown and "disk of" not in shown


def test_operators_see_disks_and_studies_the_fullest_first_and_search_them(counted: Site) -> None:
    shown = page(counted, "olga")
    assert shown.index("study heart") < shown.index("study lung") and "disk of" in shown
    assert "study heart" not in page(counted, "olga", "?search=LUNG")
    assert "no limit" not in shown
    counted.account("rolf", "operator", routes=("results",))
    assert "study heart" not in page(counted, "rolf")


def test_the_first_page_says_what_is_out_of_space(counted: Site) -> None:
    shown = html.unescape(counted.client("olga").get("/").content.decode())
    assert "Study heart" in shown and "1 arrival of 500 B waits for room" in shown


def test_what_others_wrote_is_counted_by_a_walk_and_an_hour_has_one_sample(counted: Site) -> None:
    (counted.root / "studies/lung/of-others").write_bytes(bytes(1_000_000))
    watch = SpaceWatch(counted.config)
    for _ in range(3):
        watch.round(lambda: False)
    from dropslot.arrivals.models import Usage, UsageSample

    lung = Usage.objects.get(key=str(counted.root / "studies/lung"))
    assert 1_005_000 <= lung.used_bytes < 1_006_000 and lung.looked_at
    assert UsageSample.objects.filter(usage=lung).count() == 1
    tree_sizes.count(counted.config)
    lung.refresh_from_db()
    assert lung.used_bytes < 1_006_000
