"""What goes wrong at a server, as a script: which request meets which fault, and when."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.engine import Seen

FOR_EVER = sys.maxsize
"""For `times`: this object, or this endpoint, never again answers properly."""


@dataclass(frozen=True, slots=True)
class Status:
    """An answer with this status in place of doing anything; `done`: after doing it, in place of the true answer."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """JSON, or bytes as they are; None: the SCIM error for this status."""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Throttle:
    """429 with Retry-After in seconds, or with the date as it is given; `status` 503 is the other usual form."""

    seconds: int | None = 1
    date: str | None = None
    status: int = 429


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """401, as with a token that has run out; `times` says for how long."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer comes so much later, on the loop's clock: before doing it, or with `done` after."""

    seconds: float
    done: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed, nothing was done."""


@dataclass(frozen=True, slots=True)
class DropAfterCommit:
    """It is done, and the connection is closed without an answer."""


@dataclass(frozen=True, slots=True)
class CutBody:
    """It is done, and the connection is closed in the middle of the answer's body."""


@dataclass(frozen=True, slots=True)
class WrongJson:
    """It is done, and the body of the answer is not what its status promises."""

    body: bytes = b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:'


@dataclass(frozen=True, slots=True)
class ErrorInside200:
    """200 with a SCIM error of this status as its body; nothing was done."""

    code: int = 400


ServerFault = Status | Throttle | Unauthorized | Delay | Drop | DropAfterCommit | CutBody | WrongJson | ErrorInside200


@dataclass(frozen=True, slots=True)
class Played:
    fault: ServerFault
    seen: Seen


@dataclass(slots=True)
class _Rule:
    method: str
    path: re.Pattern[str]
    body: re.Pattern[str] | None
    then: ServerFault
    first: int
    times: int
    met: int = 0

    def matches(self, seen: Seen) -> bool:
        text = seen.raw.decode(errors="replace")
        return (
            self.method in ("*", seen.method)
            and self.path.search(seen.path) is not None
            and (self.body is None or self.body.search(text) is not None)
        )

    def take(self) -> bool:
        self.met += 1
        return self.first <= self.met < self.first + self.times

    @property
    def spent(self) -> bool:
        return self.met >= (self.first if self.times == FOR_EVER else self.first + self.times - 1)


class Script:
    """Rules in the order of writing. A request meets the first rule that has something for it, and no other."""

    def __init__(self) -> None:
        self.played: list[Played] = []
        self._rules: list[_Rule] = []

    def on(
        self, method: str, path: str, *, then: ServerFault, nth: int = 1, times: int = 1, body: str | None = None
    ) -> None:
        """From the nth request on that matches, `times` requests get this fault.

        `method` may be "*"; `path` is a pattern that is searched for in the decoded path below the base URL
        ("/Users$", "/Users/2819c223"), `body` one that is searched for in the body.
        Requests that an earlier rule took are not counted.
        """
        pattern = None if body is None else re.compile(body)
        self._rules.append(_Rule(method, re.compile(path), pattern, then, nth, times))

    def take(self, seen: Seen) -> ServerFault | None:
        """Return the fault that this request meets, and record it."""
        for rule in self._rules:
            if rule.matches(seen) and rule.take():
                self.played.append(Played(rule.then, seen))
                return rule.then
        return None

    @property
    def waiting(self) -> list[ServerFault]:
        """The faults that have not all happened: a test that ends with some shows less than it says."""
        return [rule.then for rule in self._rules if not rule.spent]

    def clear(self) -> None:
        """The faults stop."""
        self._rules.clear()
