"""Reads the rows of a JSON Lines, JSON, CSV or TSV file in steps of bounded size."""

from __future__ import annotations

import csv
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import orjson

from reconciler.dialects import halves
from reconciler.sources import file_bytes
from reconciler.sources.file_json import STEP_BYTES, TOO_DEEP, array_pages, fault_of, is_too_deep
from reconciler.sources.file_page import NOT_UTF_8, Row, RowPage

_PAGE_ROWS = 1000
_CELL_CHARACTERS_MAX = 16 * 1024 * 1024
_LINE_BYTES_MAX = 64 * 1024 * 1024
"""A group with a million members fits into one line; a file that has no lines at all does not fit into memory."""
_TOO_LONG = f"is longer than {_LINE_BYTES_MAX // 1024 // 1024} MiB, and nothing behind it was read"
_PACKED = ".gz"
_SEPARATOR = re.compile(rb'\s*"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line that Excel writes, and reads, to say what stands between cells."""
_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


@dataclass(frozen=True, slots=True)
class Format:
    """How files are written, beyond what their names say."""

    encoding: str | None = None
    """A codec that Python knows; None: UTF-8."""
    delimiter: str | None = None
    """What stands between the cells of CSV; None: what the header shows."""


PLAIN = Format()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be read at all; `why` continues a sentence that begins with its name."""

    why: str


class RowFile:
    """An open file of rows. Reading raises OSError where the disk does; everything else is told in the pages."""

    __slots__ = ("_file", "_format", "_opened", "_path", "_suffix")

    def __init__(self, path: Path, file: BinaryIO, form: Format) -> None:
        self._path, self._format = path, form
        self._suffix = suffix_of(path)
        self._file = file
        self._opened = os.fstat(file.fileno())

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def modified_at(self) -> float:
        return self._opened.st_mtime

    def changed(self) -> bool:
        """Return whether another file stands at the path now, or this one was written to since it was opened."""
        return _version(self._path.stat()) != _version(self._opened)

    def pages(self) -> Iterator[RowPage]:
        """Yield the rows from the beginning, each step in a few milliseconds; rows are dicts by column."""
        yield from file_bytes.told(self._pages(), self._format.encoding)

    def _pages(self) -> Iterator[RowPage]:
        packed = self._path.suffix.lower() == _PACKED
        stream = file_bytes.opened(self._file, packed=packed, encoding=self._format.encoding)
        if isinstance(stream, file_bytes.Unusable):
            yield RowPage(unusable=stream.why)
        elif self._suffix == ".json":
            yield from array_pages(stream)
        elif is_delimited(self._path):
            yield from _delimited_pages(stream, self._format.delimiter, _DELIMITERS[self._suffix])
        else:
            yield from _line_pages(stream)


def open_rows(path: Path, form: Format = PLAIN) -> RowFile | Unreadable:
    """Open a file by its suffix. Never waits: a FIFO or a device is refused."""
    if suffix_of(path) not in (".jsonl", ".ndjson", ".json", *_DELIMITERS):
        return Unreadable("has none of the endings .jsonl .json .csv .tsv")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Unreadable("there is no such file")
    except OSError as error:
        return Unreadable(f"cannot be opened: {error.strerror}")
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        return Unreadable("is a directory, not a file" if stat.S_ISDIR(mode) else "is not an ordinary file")
    return RowFile(path, open(descriptor, "rb"), form)  # noqa: PTH123  # Path cannot open without waiting


def suffix_of(path: Path) -> str:
    """Return the ending that says what a file holds, in lower case, without the one that says that it is packed."""
    inner = Path(path.stem) if path.suffix.lower() == _PACKED else path
    return inner.suffix.lower()


def is_delimited(path: Path) -> bool:
    """Return whether a file has cells (CSV, TSV) instead of JSON values."""
    return suffix_of(path) in _DELIMITERS


def unit(path: Path) -> str:
    """Return what a place in a file counts: its lines, or the entries of its JSON list."""
    return "entry" if suffix_of(path) == ".json" else "line"


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _line_pages(file: BinaryIO) -> Iterator[RowPage]:
    first, steps = 1, _Steps(file)
    for lines in steps:
        following = first + len(lines)
        try:
            rows = list(map(orjson.loads, lines))
        except orjson.JSONDecodeError:
            rows = []
        if len(rows) == len(lines) and set(map(type, rows)) == {dict} and not is_too_deep(rows):
            yield RowPage(rows, range(first, following))
        else:
            yield _judged_lines(lines, first)
        first = following
    if steps.met_too_long:
        yield RowPage(faults=[(first, _TOO_LONG)])


def _judged_lines(lines: Sequence[bytes], first: int) -> RowPage:
    rows: list[Row] = []
    places: list[int] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(lines, first):
        if line.isspace():
            continue
        try:
            row = halves.loads(line)
        except orjson.JSONDecodeError as error:
            cut = "" if line.endswith(b"\n") else "the file is cut short: "
            faults.append((number, cut + fault_of(line, error)))
            continue
        if type(row) is not dict:
            faults.append((number, "is not a JSON object"))
        elif is_too_deep(row):
            faults.append((number, TOO_DEEP))
        else:
            rows.append(row)
            places.append(number)
    return RowPage(rows, places, faults)


def _delimited_pages(file: BinaryIO, delimiter: str | None, usual: str) -> Iterator[RowPage]:
    # The limit belongs to the whole process; its default of 131,072 characters is too low for the members of a group.
    csv.field_size_limit(_CELL_CHARACTERS_MAX)
    first, before = file.readline(_LINE_BYTES_MAX), 0
    if len(first) == _LINE_BYTES_MAX:
        yield RowPage(unusable=f"has a first line that {_TOO_LONG}")
        return
    if said := _SEPARATOR.fullmatch(first):
        delimiter, first, before = delimiter or said[1].decode("latin-1"), file.readline(_LINE_BYTES_MAX), 1
    try:
        first_line = first.decode()
    except UnicodeDecodeError:
        yield RowPage(unusable=f"has a header that {NOT_UTF_8}")
        return
    steps = _Steps(file)
    lines = chain([first] if first else [], chain.from_iterable(steps))
    between = delimiter or _delimiter(first_line, usual)
    reader = csv.reader(map(bytes.decode, lines), delimiter=between, strict=True)
    header = _header(reader)
    if isinstance(header, RowPage):
        yield header
        return
    yield RowPage(columns=tuple(filter(None, header)))
    yield from _cell_pages(reader, header, steps, before)


class _Steps:
    """The lines of a file, some at a time, up to one too long; `taken` counts how often lines were taken."""

    __slots__ = ("_file", "met_too_long", "taken")

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.taken = 0
        self.met_too_long = False

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> list[bytes]:
        self.taken += 1
        step = b"" if self.met_too_long else self._file.read(STEP_BYTES)
        if step and not step.endswith(b"\n"):
            rest = self._file.readline(_LINE_BYTES_MAX)
            if len(rest) == _LINE_BYTES_MAX:
                self.met_too_long = True
                step = step[: step.rfind(b"\n") + 1]
            else:
                step += rest
        if step:
            return BytesIO(step).readlines()
        raise StopIteration


def _delimiter(first_line: str, usual: str) -> str:
    """Return the delimiter: a header without the usual one is split at semicolon or tab, as spreadsheets write it."""
    if usual in first_line:
        return usual
    return next((other for other in (";", "\t", ",") if other in first_line), usual)


def _header(reader: Any) -> list[str] | RowPage:
    try:
        names = [name.strip() for name in next(reader, [])]
    except (csv.Error, UnicodeDecodeError):
        return RowPage(unusable="has a header that cannot be read")
    if not any(names):
        return RowPage(unusable="has no header line")
    twice = sorted(name for name, times in Counter(names).items() if name and times > 1)
    return RowPage(unusable=f"has the column '{twice[0]}' twice") if twice else names


def _cell_pages(reader: Any, header: list[str], steps: _Steps, before: int) -> Iterator[RowPage]:
    """Yield the rows after the header; `before` lines of the file never reach the reader."""
    rows: list[Row] = []
    places: list[int] = []
    faults: list[tuple[int, str]] = []
    width, unnamed = len(header), "" in header
    undecoded = before  # lines that never reached the reader, which counts the others
    ended_at = reader.line_num + undecoded
    taken = steps.taken
    while True:
        if len(rows) >= _PAGE_ROWS or steps.taken != taken:
            yield RowPage(rows, places, faults)
            rows, places, faults = [], [], []
            taken = steps.taken
        try:
            cells = next(reader, None)
        except UnicodeDecodeError:
            undecoded += 1
            ended_at = reader.line_num + undecoded
            faults.append((ended_at, NOT_UTF_8))
            continue
        except csv.Error as error:
            faults.append((ended_at + 1, _quoting_fault(error, reader.line_num + undecoded)))
            ended_at = reader.line_num + undecoded
            continue
        if cells is None:
            break
        if len(cells) == width:
            row: Row = dict(zip(header, [cell or None for cell in cells], strict=True))
            if unnamed:
                del row[""]
            rows.append(row)
            places.append(ended_at + 1)
        elif cells:
            faults.append((ended_at + 1, f"has {len(cells)} cells, the header has {width}"))
        ended_at = reader.line_num + undecoded
    if steps.met_too_long:
        faults.append((ended_at + 1, _TOO_LONG))
    yield RowPage(rows, places, faults)


def _quoting_fault(error: csv.Error, line: int) -> str:
    if "end of data" in str(error):
        return f"has a quote that is not closed up to the end of the file, line {line}"
    return f"has a quote in the wrong place or one that is not closed, found in line {line}"
