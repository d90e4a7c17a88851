"""Writes and takes apart the few BER values of controls that libldap leaves to its users."""

from __future__ import annotations

from collections.abc import Iterator

INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET, BOOLEAN = 0x02, 0x04, 0x0A, 0x30, 0x31, 0x01


def parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) for each value in a row; raises ValueError where it is cut short."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("a value is cut short")
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            raise ValueError("a value is cut short")
        yield tag, data[at : at + length]
        at += length


def first(data: bytes) -> tuple[int, bytes]:
    """Return (tag, content) of the first value; raises ValueError where there is none."""
    for part in parts(data):
        return part
    raise ValueError("there is no value")


def inside(data: bytes) -> list[tuple[int, bytes]]:
    """Return what is in the one value that this is."""
    return list(parts(first(data)[1])) if data else []


def written(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = (len(content).bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + len(content).to_bytes(size, "big") + content


def number(value: int) -> bytes:
    return written(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
