"""Cuts a JSON list into its entries without holding the whole file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from reconciler.dialects import halves
from reconciler.sources.file_page import NOT_UTF_8, Row, RowPage

STEP_BYTES = 128 * 1024
_FRAME_BYTES_MAX = 1024 * 1024
_ENTRY_BYTES_MAX = 64 * 1024 * 1024
_LEVELS_OF_OUR_OWN = 32
"""More than a request or a log record puts around a value; 254 levels can be written in all."""
TOO_DEEP = "is nested more than 200 levels deep"

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\],]', re.DOTALL)
"""A whole string, or a character that matters; a lone quote is a string that has not ended yet."""


@dataclass(slots=True)
class _Cut:
    """Where the entries of a piece of text lie, and whether the list ended in it (at `end`, the closing bracket)."""

    entries: list[bytes] = field(default_factory=list)
    rest: int = 0
    end: int | None = None


def array_pages(file: BinaryIO) -> Iterator[RowPage]:
    """Yield the entries of a list, or of the one list in an object; at last what is wrong with the frame around it."""
    frame = _frame(file)
    if isinstance(frame, RowPage):
        yield frame
        return
    head, text = frame
    count, step = 0, STEP_BYTES
    while True:
        chunk = file.read(step)
        text += chunk
        page, used, end = _take(text, count)
        if page is not None:
            yield page
            count += len(page.rows) + len(page.faults)
        if end is not None:
            tail = text[end + 1 :] + file.read(_FRAME_BYTES_MAX)
            fault = _frame_fault(head, tail)
            yield RowPage(faults=[(0, fault)] if fault else [])
            return
        if not chunk and not used:
            yield RowPage(faults=[(0, f"is cut short: the list is not closed after entry {count}")])
            return
        text = text[used:]
        if len(text) > _ENTRY_BYTES_MAX:
            yield RowPage(
                faults=[(count + 1, f"does not end within {_ENTRY_BYTES_MAX // 2**20} MiB; nothing after it was read")]
            )
            return
        # An entry larger than a step is looked at again from its start: doubling keeps that linear.
        step = STEP_BYTES if used else step * 2


def fault_of(text: bytes, error: orjson.JSONDecodeError) -> str:
    """Say why a piece is no JSON, without quoting it."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return NOT_UTF_8
    return f"is not valid JSON at character {error.pos + 1}"


def is_too_deep(value: object) -> bool:
    """Whether a value is nested so deeply that it cannot be written again with something of our own around it."""
    for _ in range(_LEVELS_OF_OUR_OWN):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def _frame(file: BinaryIO) -> tuple[bytes, bytes] | RowPage:
    """Return the text before the list (with what opens it left out) and what has been read of the list."""
    text = file.read(STEP_BYTES)
    if not text.strip():
        return RowPage(unusable="is empty; an empty list is written []")
    while True:
        depth = 0
        for token in _TOKEN.finditer(text):
            match token.group():
                case b"[" if depth <= 1:
                    return text[: token.start()], text[token.end() :]
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}":
                    depth -= 1
                case b'"':
                    break
                case _:
                    pass
        more = file.read(STEP_BYTES)
        if not more or len(text) > _FRAME_BYTES_MAX:
            return RowPage(unusable="holds no JSON list")
        text += more


def _take(text: bytes, count: int) -> tuple[RowPage | None, int, int | None]:
    """Return a page of the entries that end in the text, how much of the text they use, and where the list ends."""
    cut = text.rfind(b"},")
    if cut >= 0:
        # What parses as a whole list after a bracket is put behind it can only be entries of this list, each complete.
        try:
            rows: list[Any] = orjson.loads(b"[" + text[: cut + 1] + b"]")
        except orjson.JSONDecodeError:
            rows = []
        if rows and set(map(type, rows)) == {dict} and not is_too_deep(rows):
            return RowPage(rows, range(count + 1, count + 1 + len(rows))), cut + 2, None
    found = _scan(text, is_first=count == 0)
    return _judged(found.entries, count) if found.entries else None, found.rest, found.end


def _scan(text: bytes, *, is_first: bool) -> _Cut:
    found, depth = _Cut(), 0
    for token in _TOKEN.finditer(text):
        match token.group():
            case b"{" | b"[":
                depth += 1
            case b"]" if depth == 0:
                last = text[found.rest : token.start()]
                if (
                    last.strip() or found.entries or not is_first
                ):  # nothing at all between the brackets is an empty list
                    found.entries.append(last)
                found.end = token.start()
                return found
            case b"}" | b"]":
                depth -= 1
            case b"," if depth == 0:
                found.entries.append(text[found.rest : token.start()])
                found.rest = token.end()
            case b'"':
                break
            case _:
                pass
    return found


def _judged(entries: list[bytes], count: int) -> RowPage:
    rows: list[Row] = []
    places: list[int] = []
    faults: list[tuple[int, str]] = []
    for number, entry in enumerate(entries, count + 1):
        try:
            row = halves.loads(entry)
        except orjson.JSONDecodeError as error:
            faults.append((number, fault_of(entry, error)))
            continue
        if type(row) is not dict:
            faults.append((number, "is not a JSON object"))
        elif is_too_deep(row):
            faults.append((number, TOO_DEEP))
        else:
            rows.append(row)
            places.append(number)
    return RowPage(rows, places, faults)


def _frame_fault(head: bytes, tail: bytes) -> str:
    try:
        frame = orjson.loads(head + b"[]" + tail)
    except orjson.JSONDecodeError:
        return "is not valid JSON around its list"
    if not isinstance(frame, dict):
        return ""
    if sum(isinstance(value, list) for value in frame.values()) > 1:
        return "holds several lists; one is read"
    if frame.get("@odata.nextLink"):
        return "is one page of several: it names an @odata.nextLink"
    return ""
