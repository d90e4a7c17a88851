"""Takes values out of JSON that somebody else wrote, and names the path of what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.migrate.findings import Fault, Findings

_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
}


def parsed(written: bytes) -> Any:
    """Return JSON; raises Fault."""
    try:
        return orjson.loads(written.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Fault(f"line {error.lineno} column {error.colno}", f"is not JSON: {error.msg}") from None


@dataclass(frozen=True, slots=True)
class Node:
    """An object of the file and where it stands."""

    path: str
    held: dict[str, Any]

    @classmethod
    def of(cls, path: str, value: Any) -> Node:
        if not isinstance(value, dict):
            raise Fault(path, "must be an object")
        return cls(path, value)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}"

    def text(self, key: str, *, needed: bool = False) -> str:
        """Return a text, "" where there is none."""
        value = self._value(key, str, needed=needed)
        return "" if value is None else value

    def truth(self, key: str, *, default: bool = False) -> bool:
        value = self._value(key, bool)
        return default if value is None else value

    def number(self, key: str) -> int:
        value = self._value(key, int)
        return 0 if value is None else value

    def child(self, key: str) -> Node | None:
        value = self._value(key, dict)
        return None if value is None else Node(self.at(key), value)

    def children(self, key: str, *, needed: bool = False) -> list[Node]:
        return [Node.of(path, value) for path, value in self.items(key, needed=needed)]

    def items(self, key: str, *, needed: bool = False) -> Iterator[tuple[str, Any]]:
        """Yield each value of a list with its path."""
        for place, value in enumerate(self._value(key, list, needed=needed) or []):
            yield f"{self.at(key)}[{place}]", value

    def _value(self, key: str, kind: type, *, needed: bool = False) -> Any:
        value = self.held.get(key)
        if value is None:
            if needed:
                raise Fault(self.at(key), "is missing")
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Fault(self.at(key), f"must be {_KINDS[kind]}")
        return value

    def unknown(self, known: frozenset[str], findings: Findings) -> None:
        """Report every key that nothing is known of."""
        for key in self.held:
            if key not in known and not key.startswith("@"):
                findings.left_out(self.at(key), "this key is not known")
