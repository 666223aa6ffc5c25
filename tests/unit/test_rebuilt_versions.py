"""Which version of which item a stored name was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dropslot.arrivals.upkeep.rebuilding.stored_names import item_of
from dropslot.core.names import versioned

NAMES = st.text(st.sampled_from("ab.v12é"), min_size=1, max_size=12) | st.text(
    st.sampled_from("xé"), min_size=240, max_size=255
)


@given(NAMES, st.integers(2, 30))
def test_a_version_is_known_by_its_first_one(name: str, version: int) -> None:
    if len(name.encode()) > 255:
        return
    stored = versioned(name, version)
    item, found = item_of(stored, {name}, [name])
    assert (item, found) == (name, version)


@given(NAMES)
def test_without_a_first_one_a_name_is_its_own(name: str) -> None:
    assert item_of(name, set()) == (name, 1)


def test_the_folder_counts() -> None:
    assert item_of("a/scan.v2.nii.gz", {"scan.nii.gz"}) == ("a/scan.v2.nii.gz", 1)
    assert item_of("a/scan.v2.nii.gz", {"a/scan.nii.gz"}) == ("a/scan.nii.gz", 2)
