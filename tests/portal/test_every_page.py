"""Each address of the portal, asked for by each role: `page_table` is complete by construction, and true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction
from django.urls import reverse

from page_table import TABLE, WHO, Row, addresses
from portals import Site

BOTH_DATABASES = True


def test_each_address_has_a_row() -> None:
    assert sorted(set(addresses()) - TABLE.keys()) == []


def _status(site: Site, who: str, name: str, row: Row) -> int:
    """What was changed is undone, so that each finds the same."""
    client = site.client(who)
    with transaction.atomic():
        path = reverse(f"dropslot:{name}", kwargs=row.arguments())
        answer = client.get(f"{path}?{row.query}") if row.post is None else client.post(path, row.post)
        if answer.streaming:
            b"".join(answer)
        transaction.set_rollback(True)
    return answer.status_code


def _statuses(site: Site) -> Iterator[tuple[str, str, str]]:
    """Address, what is expected, what was found."""
    there = set(addresses())
    for name, rows in ((name, rows) for name, rows in TABLE.items() if name in there):
        for number, row in enumerate(rows):
            found = " ".join(str(_status(site, who, name, row)) for who in WHO)
            yield f"{name} {number}", row.statuses, found


@pytest.mark.postgresql_in_crash
def test_each_address_answers_each_role_as_the_table_says(filled_site: Site) -> None:
    wrong = [
        f"{name}: {found}, expected {wanted}"
        for name, wanted, found in _statuses(filled_site)
        if found != wanted
    ]
    assert not wrong, "\n".join(wrong)


def test_an_address_that_only_takes_forms_shows_nothing(filled_site: Site) -> None:
    for name, rows in TABLE.items():
        if rows[0].post is not None and name in set(addresses()):
            path = reverse(f"dropslot:{name}", kwargs=rows[0].arguments())
            assert filled_site.client("adam").get(path).status_code in (302, 405), name
