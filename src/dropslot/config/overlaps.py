"""Whether one path is inside another, when both may contain fields."""

from __future__ import annotations

from dropslot.core.templates import Template


def is_within(inner: str, outer: str) -> bool:
    """Whether `inner` is `outer` or beneath it whatever the values of their fields are."""
    return _parts(inner)[: len(_parts(outer))] == _parts(outer)


def may_be_within(inner: str, outer: str) -> bool:
    """Whether `inner` may be `outer` or beneath it for some values of their fields."""
    inner_parts, outer_parts = _parts(inner), _parts(outer)
    if len(inner_parts) < len(outer_parts):
        return False
    return all(_may_be_same(*pair) for pair in zip(inner_parts, outer_parts, strict=False))


def overlap(one: str, other: str) -> bool:
    """Whether one of the two may be within the other."""
    return may_be_within(one, other) or may_be_within(other, one)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _may_be_same(one: str, other: str) -> bool:
    if one == other:
        return True
    if Template(one).fields and Template(other).fields:
        return True
    if Template(other).fields:
        one, other = other, one
    return Template(one).match(Template(other).fixed) is not None if Template(one).fields else False
