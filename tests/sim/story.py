"""What happened in a simulation, line by line: its end for people, the whole of it as one digest."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from hashlib import blake2b

LINES_SHOWN = int(os.environ.get("SIM_LINES", "120"))
"""How much of the story is told where a seed fails."""


class Story:
    """Takes lines in the order of events."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)
        self._last: deque[str] = deque(maxlen=LINES_SHOWN)
        self.lines = 0
        self.hidden = ""
        """What must not show in a line, because it differs from run to run: the directory."""
        self.secret = ""
        """What must never be told."""
        self.leaks: list[str] = []

    def tell(self, text: str) -> None:
        if self.hidden:
            text = text.replace(self.hidden, "")
        line = f"{_moment(asyncio.get_running_loop().time())} {text}"
        self.lines += 1
        self._last.append(line)
        self._digest.update(line.encode() + b"\n")
        self.listen_for_the_secret(line)

    def listen_for_the_secret(self, text: str) -> None:
        """Remember what gives the secret away."""
        if self.secret and self.secret in text:
            self.leaks.append(text[:500])

    @property
    def digest(self) -> str:
        """The same for two runs in which the same happened at the same moments, in the same order."""
        return self._digest.hexdigest()

    def end(self) -> str:
        """Return the last lines."""
        return "\n".join(self._last)


def _moment(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:4d}:{minutes:02d}:{rest:09.6f}"
