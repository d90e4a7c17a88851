"""Keeps what a round of Microsoft Graph says until it has ended: what is said of one entry comes back together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO
from zlib import crc32

from reconciler.sources.graph_wire import Unreadable

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
            with _room():
                for offset, length in self._places[part]:
                    self._file.seek(offset)
                    records += self._file.read(length).splitlines()
            records += bytes(self._buffers[part]).splitlines()
            if records:
                yield records

    def _write(self, part: int) -> None:
        with _room():
            offset = self._file.seek(0, 2)
            self._file.write(self._buffers[part])
        self._places[part].append((offset, len(self._buffers[part])))
        self._buffers[part] = bytearray()


@contextmanager
def spooled() -> Iterator[Spool]:
    """Give a spool, whose file goes with it. Raises Unreadable where there can be none."""
    with _room():
        file = TemporaryFile()  # noqa: SIM115  # closed below, whatever it has to write then
    try:
        yield Spool(file)
    finally:
        with suppress(OSError):  # what was not written any more is not missed
            file.close()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise Unreadable(f"it cannot be kept ({said}): is there room in the temporary directory?") from error
