"""Keeps what a round of Microsoft Graph says until it has ended: what is said of one entry comes back together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from zlib import crc32

from reconciler.sources.graph_wire import Unreadable
from reconciler.sources.temporary import room, temporary_file

_PARTS = 256
_BUFFER_BYTES = 64 * 1024


class Spool:
    """Records by key, in the order in which they were put. In memory while they are few, then in a file.

    They come back in parts of which each holds every record of its keys: of two million, some eight thousand at a time.
    Raises Unreadable where there is no room.
    """

    __slots__ = ("_buffers", "_file", "_places")

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._buffers = [bytearray() for _ in range(_PARTS)]
        """What is not in the file yet. Copied together: a record that orjson made holds on to kilobytes."""
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(_PARTS)]
        """Where in the file a part's records are: offset and length of each stretch."""
        self._file.truncate(0)

    def put(self, key: str, record: bytes) -> None:
        """Add a record, which has no line end in it."""
        part = crc32(key.encode()) % _PARTS
        self._buffers[part] += record
        self._buffers[part] += b"\n"
        if len(self._buffers[part]) >= _BUFFER_BYTES:
            self._write(part)

    def parts(self) -> Iterator[list[bytes]]:
        """Yield the records part by part."""
        for part in range(_PARTS):
            records: list[bytes] = []
            with room(Unreadable):
                for offset, length in self._places[part]:
                    self._file.seek(offset)
                    records += self._file.read(length).splitlines()
            records += bytes(self._buffers[part]).splitlines()
            if records:
                yield records

    def _write(self, part: int) -> None:
        with room(Unreadable):
            offset = self._file.seek(0, 2)
            self._file.write(self._buffers[part])
        self._places[part].append((offset, len(self._buffers[part])))
        self._buffers[part] = bytearray()


@contextmanager
def spooled() -> Iterator[Spool]:
    """Give a spool, whose file goes with it. Raises Unreadable where there can be none."""
    with temporary_file(Unreadable) as file:
        yield Spool(file)
