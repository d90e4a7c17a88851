"""Opens what a file holds as UTF-8, whatever it was packed or written in."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from reconciler.sources.file_page import NOT_UTF_8, RowPage

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHUNK_BYTES = 64 * 1024
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = "reconciler.undecoded"
"""The name of our way with bytes that are no character: they stay bytes that are no UTF-8, in their own line."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why nothing of a file can be used; continues a sentence that begins with its name."""

    why: str


def opened(file: BinaryIO, *, packed: bool, encoding: str | None) -> BinaryIO | Unusable:
    """Return a stream of the UTF-8 that the file holds, from its beginning and without a byte order mark.

    Reading it raises OSError where the disk does, and EOFError or zlib.error where packed data are damaged.
    """
    file.seek(0)
    stream = cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=file))) if packed else file
    start = cast(io.BufferedReader, stream).peek(4)[:4]
    mark = _mark(start)
    name = None if encoding is None else codecs.lookup(encoding).name
    if name in (None, "utf-8", "utf-8-sig"):
        if mark == "utf-16":
            return Unusable('is UTF-16; encoding = "utf-16" reads it')
        if mark == "utf-8":
            stream.read(len(BYTE_ORDER_MARK))
        return stream
    assert encoding is not None and name is not None
    wide = name.startswith(("utf-16", "utf-32"))
    if mark is not None and not (mark == "utf-16" and wide):
        return Unusable(f"begins as {mark.upper()} does, and encoding says {encoding}")
    if name == "utf-16" and mark is None and start:
        return Unusable('has no byte order mark: encoding = "utf-16-le" or "utf-16-be" says which it is')
    return cast(BinaryIO, _unmarked(io.BufferedReader(_Recoded(stream, encoding), _CHUNK_BYTES)))


def told(pages: Iterator[RowPage], encoding: str | None) -> Iterator[RowPage]:
    """Yield the pages; what ends the reading of packed data is told as a fault, with what could not be decoded."""
    try:
        for page in pages:
            yield page if encoding is None or not (page.faults or page.unusable) else _renamed(page, encoding)
    except EOFError:
        yield RowPage(faults=[(0, "is cut short: the packed data end before their end")])
    except (zlib.error, gzip.BadGzipFile):
        yield RowPage(faults=[(0, "holds damaged gzip data")])


class _Recoded(io.RawIOBase):
    """What a stream holds in one encoding, in UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_UNDECODED)
        self._waiting = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # because any buffer will do
        while not self._waiting and not self._ended:
            chunk = self._stream.read(_CHUNK_BYTES)
            self._ended = not chunk
            text = self._decoder.decode(chunk, final=self._ended)
            self._waiting = text.encode("utf-8", "surrogateescape")
        count = min(len(buffer), len(self._waiting))
        buffer[:count] = self._waiting[:count]
        self._waiting = self._waiting[count:]
        return count


def _mark(start: bytes) -> str | None:
    if start.startswith(BYTE_ORDER_MARK):
        return "utf-8"
    return "utf-16" if start[:2] in _UTF_16_MARKS else None


def _unmarked(stream: io.BufferedReader) -> io.BufferedReader:
    if stream.peek(3).startswith(BYTE_ORDER_MARK):
        stream.read(len(BYTE_ORDER_MARK))
    return stream


def _renamed(page: RowPage, encoding: str) -> RowPage:
    said = f"has bytes that are not {encoding}"
    faults = [(place, fault.replace(NOT_UTF_8, said)) for place, fault in page.faults]
    return replace(page, faults=faults, unusable=page.unusable.replace(f"that {NOT_UTF_8}", f"that {said}"))


def _keep(error: UnicodeError) -> tuple[str, int]:
    """Stand a byte that is nothing in UTF-8 for what could not be decoded."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error(_UNDECODED, _keep)
