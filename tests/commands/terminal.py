"""A terminal for tests: a command believes that somebody looks, and what is drawn can be read line by line."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.commands.shell import environment

DEADLINE_SECONDS = 45.0
_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")


class Screen:
    """What a terminal of so many columns shows of what is written to it: as much of it as rich makes use of."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.lines: list[str] = [""]
        self.cursor_hidden = False
        self._row = self._column = 0

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")

    def write(self, text: str) -> None:
        at = 0
        while at < len(text):
            if (found := _SEQUENCE.match(text, at)) is not None:
                self._obey(found[1], found[2])
                at = found.end()
                continue
            self._put(text[at])
            at += 1

    def _obey(self, numbers: str, letter: str) -> None:
        if letter == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif letter == "K":
            self.lines[self._row] = "" if numbers == "2" else self.lines[self._row][: self._column]
        elif numbers == "?25":
            self.cursor_hidden = letter == "l"
        elif letter not in "mhl":
            raise AssertionError(f"the screen of the tests does not know ESC [ {numbers} {letter}")

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._go_down()
        else:
            if self._column == self.columns:
                self._column = 0
                self._go_down()
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + letter + line[self._column + 1 :]
            self._column += 1

    def _go_down(self) -> None:
        self._row += 1
        if self._row == len(self.lines):
            self.lines.append("")


class Terminal:
    """`reconciler` at a terminal of its own, within `async with`."""

    def __init__(self, directory: Path, *arguments: str, columns: int = 100) -> None:
        self._directory, self._arguments = directory, arguments
        self.screen = Screen(columns)

    async def __aenter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self.screen.columns, 0, 0))
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reconciler", *self._arguments),
            cwd=self._directory,
            env=_environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # the terminal is the one that Ctrl-C comes from
            preexec_fn=_take_the_terminal,
        )
        os.close(theirs)
        self._seen = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)

    async def shows(self, seen: Callable[[str], bool]) -> str:
        """Return the first picture that fits."""

        async def wait() -> str:
            while not seen(self.screen.text):
                self._seen.clear()
                await self._seen.wait()
            return self.screen.text

        try:
            return await asyncio.wait_for(wait(), DEADLINE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"it is not shown:\n{self.screen.text}") from None

    async def ended(self) -> int:
        """Return the exit code."""
        code = await asyncio.wait_for(self.process.wait(), DEADLINE_SECONDS)
        self._read()
        return code

    def press_ctrl_c(self) -> None:
        os.write(self._ours, b"\x03")

    def _read(self) -> None:
        try:
            self.screen.write(os.read(self._ours, 1 << 16).decode())
        except OSError:
            asyncio.get_running_loop().remove_reader(self._ours)  # nobody holds the other side any more
        self._seen.set()


def _take_the_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _environment() -> dict[str, str]:
    """Return the environment without the size of another terminal, which would count for more than our own."""
    whole = environment({"TERM": "xterm", "NO_COLOR": "1"})
    return {name: value for name, value in whole.items() if name not in ("COLUMNS", "LINES")}
