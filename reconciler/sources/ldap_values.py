"""Turns what a directory holds into the values that rules read."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

_FILETIMES = frozenset({"accountexpires", "pwdlastset", "lastlogontimestamp", "lockouttime", "badpasswordtime"})
_MOMENTS = frozenset({"whencreated", "whenchanged", "createtimestamp", "modifytimestamp"})
_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = (0, 2**63 - 1)
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?(?:[.,](\d+))?(Z|[+-]\d{4})")
_ACCOUNT_DISABLED = 2
_RANGE = re.compile(r";range=(\d+)-(\d+|\*)$")

ACCOUNT_ENABLED = "accountEnabled"
"""Computed from userAccountControl, as Microsoft's own services show it."""


def text_of(value: bytes) -> str:
    """Return UTF-8 as text, and everything else as base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def guid_of(value: bytes) -> str:
    """Return an objectGUID as people write it: its first three parts are stored the other way round."""
    return str(uuid.UUID(bytes_le=value)) if len(value) == 16 else text_of(value)


def sid_of(value: bytes) -> str:
    """Return an objectSid as people write it."""
    if len(value) < 8 or len(value) != 8 + 4 * value[1]:
        return text_of(value)
    authority = int.from_bytes(value[2:8], "big")
    parts = (int.from_bytes(value[8 + 4 * n : 12 + 4 * n], "little") for n in range(value[1]))
    return "-".join(["S", str(value[0]), str(authority), *map(str, parts)])


def filetime_of(value: bytes) -> str | None:
    """Return 100 nanoseconds since 1601 as a moment; None for never."""
    ticks = int(value)
    if ticks in _NEVER:
        return None
    return (_FILETIME_EPOCH + timedelta(microseconds=ticks // 10)).isoformat().replace("+00:00", "Z")


def moment_of(value: bytes) -> str:
    """Return a generalized time as ISO 8601; what is none stays as it is."""
    found = _MOMENT.fullmatch(text_of(value))
    if found is None:
        return text_of(value)
    year, month, day, hour, minute, second, _, zone = found.groups()
    shown = "Z" if zone == "Z" else f"{zone[:3]}:{zone[3:]}"
    return f"{year}-{month}-{day}T{hour}:{minute or '00'}:{second or '00'}{shown}"


def enabled_of(value: bytes) -> bool:
    """Return whether a userAccountControl lets somebody sign in."""
    return not int(value) & _ACCOUNT_DISABLED


def _reader(name: str) -> Callable[[bytes], Any]:
    lowered = name.lower()
    if lowered == "objectguid":
        return guid_of
    if lowered in ("objectsid", "sidhistory"):
        return sid_of
    if lowered in _FILETIMES:
        return filetime_of
    return moment_of if lowered in _MOMENTS else text_of


class Reading:
    """How the wanted attributes of one kind are asked for, and made of an answer. Names keep the rules' spelling."""

    def __init__(
        self, names: Sequence[str], *, references: frozenset[str], multivalued: frozenset[str], enabled: bool
    ) -> None:
        """`references` hold names of other entries, `multivalued` are always lists; both in lower case.

        `enabled`: accountEnabled is computed from userAccountControl.
        """
        self._by_answer: dict[str, list[tuple[str, Callable[[bytes], Any]]]] = {}
        self._as_answered: dict[str, Sequence[tuple[str, Callable[[bytes], Any]]]] = {}
        """The same by the letter case of the answers, which a directory keeps to."""
        self._lists = {name for name in names if name.lower() in multivalued}
        self.names = tuple(sorted(names))
        self.references = tuple(name for name in self.names if name.lower() in references)
        for name in self.names:
            if name in ("id", "dn"):
                continue
            if enabled and name == ACCOUNT_ENABLED:
                self._by_answer.setdefault("useraccountcontrol", []).append((name, enabled_of))
            else:
                self._by_answer.setdefault(name.lower(), []).append((name, _reader(name)))
        self.asked = tuple(sorted(self._by_answer))

    def attributes(self, raw: Mapping[str, Sequence[bytes]]) -> dict[str, Any]:
        """Return the attributes of one entry; one that it lacks is None, several values are a list in order."""
        found: dict[str, Any] = dict.fromkeys(self.names)
        for answered, values in raw.items():
            readers = self._as_answered.get(answered)
            if readers is None:
                readers = self._as_answered[answered] = self._by_answer.get(answered.lower(), ())
            for name, read in readers:
                if len(values) == 1 and name not in self._lists:
                    found[name] = read(values[0])
                elif values:
                    # a directory promises no order, and one that changes must not look like a change
                    found[name] = sorted(map(read, values), key=str)
        return found


def values_of(raw: Mapping[str, Sequence[bytes]], name: str) -> list[bytes]:
    """Return the values of one attribute, whatever the letter case of its name in the answer."""
    if name in raw:
        return list(raw[name])
    lowered = name.lower()
    return [value for answered, values in raw.items() if answered.lower() == lowered for value in values]


def ranged(raw: Mapping[str, Sequence[bytes]], name: str) -> tuple[list[bytes], int | None]:
    """Return the values at hand of an attribute that may come in ranges, and where the next range begins."""
    lowered = name.lower()
    for answered, values in raw.items():
        found = _RANGE.search(answered.lower())
        if found is not None and answered.lower()[: found.start()] == lowered:
            return list(values), None if found[2] == "*" else int(found[2]) + 1
    return values_of(raw, name), None
