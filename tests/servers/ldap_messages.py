"""Reads and writes the messages of LDAP (RFC 4511), for doubles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.sources import ldap_ber as ber

BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77
BOUND, ENTRY, REFERENCE, DONE, EXTENDED_DONE = 0x61, 0x64, 0x73, 0x65, 0x78
_PAGED = b"1.2.840.113556.1.4.319"


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search asks for."""

    base: str
    filter: bytes
    names: Sequence[str]
    page_size: int | None
    """None: not in pages."""
    cookie: bytes


def whole(data: bytes) -> int | None:
    """Return how long the first message is; None where it has not come whole."""
    if len(data) < 2:
        return None
    length, head = data[1], 2
    if length & 0x80:
        head += length & 0x7F
        length = int.from_bytes(data[2:head], "big")
    return head + length if len(data) >= head + length else None


def searched(content: bytes, controls: bytes) -> Searched:
    parts = list(ber.parts(content))
    filter_tag, filter_ = parts[6]
    names = [name.decode() for _, name in ber.parts(parts[7][1])]
    return Searched(parts[0][1].decode(), ber.written(filter_tag, filter_), names, *_page(controls))


def message(number: bytes, answer: bytes, controls: bytes = b"") -> bytes:
    return ber.written(ber.SEQUENCE, ber.written(ber.INTEGER, number) + answer + controls)


def result(tag: int, code: int, said: bytes = b"", urls: Sequence[str] = ()) -> bytes:
    referral = ber.written(0xA3, b"".join(ber.written(ber.OCTETS, url.encode()) for url in urls)) if urls else b""
    fields = ber.written(ber.ENUMERATED, bytes((code,))) + ber.written(ber.OCTETS, b"") + ber.written(ber.OCTETS, said)
    return ber.written(tag, fields + referral)


def entry(dn: bytes, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
    listed = b"".join(
        ber.written(
            ber.SEQUENCE,
            ber.written(ber.OCTETS, name.encode())
            + ber.written(ber.SET, b"".join(ber.written(ber.OCTETS, value) for value in values)),
        )
        for name, values in attributes.items()
    )
    return ber.written(ENTRY, ber.written(ber.OCTETS, dn) + ber.written(ber.SEQUENCE, listed))


def reference(*urls: str) -> bytes:
    return ber.written(REFERENCE, b"".join(ber.written(ber.OCTETS, url.encode()) for url in urls))


def paged(cookie: bytes) -> bytes:
    """Return the controls of a page's end: RFC 2696. An empty cookie says that it was the last."""
    return control(ber.written(ber.SEQUENCE, ber.number(0) + ber.written(ber.OCTETS, cookie)))


def control(value: bytes) -> bytes:
    told = ber.written(ber.OCTETS, _PAGED) + ber.written(ber.OCTETS, value)
    return ber.written(0xA0, ber.written(ber.SEQUENCE, told))


def _page(controls: bytes) -> tuple[int | None, bytes]:
    for _, one in ber.parts(controls):
        fields = list(ber.parts(one))
        if fields[0][1] == _PAGED:
            (_, size), (_, cookie) = ber.inside(fields[-1][1])
            return int.from_bytes(size, "big"), cookie
    return None, b""
