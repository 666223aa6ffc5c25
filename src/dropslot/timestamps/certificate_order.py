"""The certificates of an answer in the order of DER. Authorities that use openssl send them in another one, as CMS
allows (they are BER, and not signed); rfc3161-client takes only DER."""

from __future__ import annotations

from collections.abc import Iterator

_SEQUENCE, _OBJECT, _CONTEXT_0 = 0x30, 0x06, 0xA0


def in_der_order(answer: bytes) -> bytes:
    """The answer with its certificates sorted, which changes no length; as it is, if it has none where they belong."""
    try:
        _, token = _children(answer, *_content(answer, 0, _SEQUENCE))
        identifier, wrapped = _children(answer, *_content(answer, token[0], _SEQUENCE))
        _content(answer, identifier[0], _OBJECT)
        (signed,) = _children(answer, *_content(answer, wrapped[0], _CONTEXT_0))
        fields = list(_children(answer, *_content(answer, signed[0], _SEQUENCE)))
        begin, end = _content(answer, fields[3][0], _CONTEXT_0)
        several = sorted(answer[first:after] for first, after in _children(answer, begin, end))
    except (IndexError, ValueError):
        return answer
    return answer[:begin] + b"".join(several) + answer[end:]


def _children(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Beginning and end of each value within a range. Raises ValueError, IndexError."""
    while begin < end:
        _, after = _content(data, begin)
        if after > end:
            raise ValueError("a value is longer than what it is in")
        yield begin, after
        begin = after


def _content(data: bytes, at: int, tag: int | None = None) -> tuple[int, int]:
    """Beginning and end of the content of the value at a place. Raises ValueError, IndexError."""
    if tag is not None and data[at] != tag:
        raise ValueError(f"expected tag {tag:#x}, found {data[at]:#x}")
    length, begin = data[at + 1], at + 2
    if length > 0x7F:
        count = length & 0x7F
        length, begin = int.from_bytes(data[begin : begin + count], "big"), begin + count
    if begin + length > len(data):
        raise ValueError("the data is cut off")
    return begin, begin + length
