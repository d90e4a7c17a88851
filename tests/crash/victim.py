"""Runs `reconciler` in forks of one warm process, each of which kills itself where it is told to.

A request is one line of JSON on standard input, its outcome one line on standard output. With a kill as its argument
it is itself the process that is killed, and the words behind it are those of the command. Nothing of the product knows
of this: the numbering sits in a subclass of sqlite3.Connection, the kills around POSTs in a wrapper of the exchange.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import mmap
import os
import re
import resource
import signal
import sqlite3
import struct
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import aiohttp
import orjson

from reconciler import cli
from reconciler.core.outcomes import Failed
from reconciler.net.exchange import AiohttpExchange
from reconciler.ports import Request, Response
from reconciler.store.database import open_database
from reconciler.store.locking import Writer
from reconciler.store.migrating import Revisions

At = Literal["commit", "post", "change", "statement"]
"""A commit that writes; a POST; another request that changes something; a statement, at its beginning."""
When = Literal["before", "unread", "after"]
"""For a POST "unread" is when its answer has come, and "after" when it was read too."""
PLACES: tuple[At, ...] = ("commit", "post", "change", "statement")

_LOADED_LATE = (
    *sorted({place.partition(":")[0] for place in cli.COMMANDS.values()}),
    "alembic.command",
    "alembic.config",
    "anyio._backends._asyncio",
    "encodings.idna",
    "rich.progress",
    "uvloop",
)
"""What a command would import only when it runs: here the warm process does it once for all."""
_WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|WITH\b.*\b(INSERT|UPDATE|DELETE)\b)", re.I | re.S
)
_connect = sqlite3.connect
_call = AiohttpExchange.__call__
_start = aiohttp.ClientResponse.start


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a process ends itself: at the nth commit, POST or statement that it comes to, counted from 1."""

    at: At
    when: When
    nth: int

    def __str__(self) -> str:
        return f"killed {self.when} {self.at} {self.nth}"


@dataclass(frozen=True, slots=True)
class Run:
    """What to run: the arguments of `reconciler`, where to die, how long a file may become, what to write down.

    With `migrations` (a folder, and the names in it) the state at the one argument is opened as a later version would.
    """

    arguments: tuple[str, ...]
    kill: Kill | None = None
    file_bytes_max: int | None = None
    noted: bool = False
    migrations: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    pid: int
    killed: bool
    exit_code: int
    stdout: str
    stderr: str
    counts: dict[At, int]
    notes: list[Any] = field(default_factory=list)
    """With `noted`: ["statement", word], and ["commit", number or 0, commits in the log before, and after]."""


class Tally:
    """Counts that outlive the process that counts."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    def counts(self) -> dict[At, int]:
        return dict(zip(PLACES, struct.unpack_from(f"{len(PLACES)}q", self._shared), strict=True))

    def count(self, at: At) -> int:
        counts = self.counts()
        counts[at] += 1
        struct.pack_into(f"{len(PLACES)}q", self._shared, 0, *counts.values())
        return counts[at]


class Reaper:
    """Counts the places where this process may die, and kills it where the run says so."""

    def __init__(self, run: Run, tally: Tally, notes: IO[bytes]) -> None:
        self._kill, self._noted, self._tally, self._notes = run.kill, run.noted, tally, notes
        self._answered = dict.fromkeys(PLACES, 0)

    def install(self) -> None:
        """Put the numbering around the connections to SQLite and the exchange of this process."""
        reaper = self

        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = _connect(*arguments, factory=Numbered, **options)
            connection.watch(reaper)
            return connection

        async def call(exchange: AiohttpExchange, request: Request) -> Response | Failed:
            if request.method == "GET":
                return await _call(exchange, request)
            at: At = "post" if request.method == "POST" else "change"
            nth = reaper.reach(at)
            answer = await _call(exchange, request)
            reaper.pass_by(at, "after", nth)
            return answer

        async def start(response: aiohttp.ClientResponse, connection: Any) -> aiohttp.ClientResponse:
            started = await _start(response, connection)
            if response.method == "POST":
                reaper._answered["post"] += 1
                reaper.pass_by("post", "unread", reaper._answered["post"])
            return started

        setattr(sqlite3, "connect", connect)  # noqa: B010  # because mypy refuses to see a function replaced
        setattr(AiohttpExchange, "__call__", call)  # noqa: B010
        setattr(aiohttp.ClientResponse, "start", start)  # noqa: B010

    def reach(self, at: At) -> int:
        """Count one more and return its number; die here, before it, when it is the one."""
        nth = self._tally.count(at)
        self.pass_by(at, "before", nth)
        return nth

    def pass_by(self, at: At, when: When, nth: int) -> None:
        if self._kill is not None and (self._kill.at, self._kill.when, self._kill.nth) == (at, when, nth):
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, *words: object) -> None:
        if self._noted:
            self._notes.write(orjson.dumps(words) + b"\n")
            self._notes.flush()

    def commits_in_log(self, place: str) -> int:
        """Return how many commits the write-ahead log holds, where this is to be written down."""
        wal = Path(f"{place}-wal")
        return commit_frames(wal.read_bytes()) if self._noted and place and wal.exists() else 0


class Numbered(sqlite3.Connection):
    """Numbers the transactions that write; to end one that only read commits nothing."""

    _place = ""
    _wrote = False
    _reaper: Reaper

    def watch(self, reaper: Reaper) -> None:
        self._reaper = reaper
        self._place = self.execute("PRAGMA database_list").fetchone()[2]
        self.set_trace_callback(self._statement)

    def _statement(self, text: str) -> None:
        words = text.split(None, 1)
        writes = _WRITES.match(text) is not None
        self._wrote = self._wrote or writes
        self._reaper.note("statement", words[0].upper(), writes)
        self._reaper.reach("statement")

    def commit(self) -> None:
        wrote, self._wrote = self._wrote, False
        nth = self._reaper.reach("commit") if wrote else 0
        before = self._reaper.commits_in_log(self._place)
        super().commit()
        self._reaper.note("commit", nth, before, self._reaper.commits_in_log(self._place))
        if wrote:
            self._reaper.pass_by("commit", "after", nth)

    def rollback(self) -> None:
        self._wrote = False
        super().rollback()


def commit_frames(wal: bytes) -> int:
    """Count the commits in a write-ahead log (sqlite.org/fileformat2.html §4): frames that name the database's size."""
    if len(wal) < 32:
        return 0
    page_bytes = struct.unpack_from(">I", wal, 8)[0]
    salt = wal[16:24]
    frames = range(32, len(wal) - 23, 24 + page_bytes)
    return sum(wal[at + 8 : at + 16] == salt and struct.unpack_from(">I", wal, at + 4)[0] > 0 for at in frames)


def be_killed(kill: Kill, words: Sequence[str]) -> None:
    """Be the command, and die of it at the place that is meant."""
    sys.argv = ["reconciler", *words]
    with os.fdopen(os.memfd_create("notes"), "w+b") as notes:
        Reaper(Run(tuple(words), kill), Tally(), notes).install()
        cli.main()


# --- the warm process --------------------------------------------------------------------------------------------


def main() -> None:
    """Answer requests until standard input ends."""
    for module in _LOADED_LATE:
        importlib.import_module(module)
    with redirect_stdout(StringIO()), suppress(SystemExit):
        cli.cli.main(["cycle", "--help"])
    gc.collect()
    gc.freeze()
    for line in _lines(sys.stdin.buffer):
        asked = orjson.loads(line)
        kill = asked.pop("kill")
        run = Run(**{**asked, "kill": None if kill is None else Kill(**kill)})
        sys.stdout.buffer.write(orjson.dumps(_forked(run)) + b"\n")
        sys.stdout.buffer.flush()


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline():
        yield line


def _forked(run: Run) -> Outcome:
    tally = Tally()
    with _Pipe() as stdout, _Pipe() as stderr, os.fdopen(os.memfd_create("notes"), "w+b") as notes:
        child = os.fork()
        if child == 0:
            _be_the_command(run, tally, stdout, stderr, notes)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        notes.seek(0)
        return Outcome(
            child,
            killed,
            -1 if killed else os.waitstatus_to_exitcode(status),
            stdout.text(),
            stderr.text(),
            tally.counts(),
            [orjson.loads(line) for line in notes.read().splitlines()],
        )


class _Pipe:
    """Takes what a fork prints, up to a MiB; it is read when the fork is dead. No limit on files concerns it."""

    def __enter__(self) -> _Pipe:
        self._reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 1 << 20)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reading)

    def text(self) -> str:
        os.close(self.writing)
        with os.fdopen(os.dup(self._reading), encoding="utf-8") as stream:
            return stream.read()


def _be_the_command(run: Run, tally: Tally, stdout: _Pipe, stderr: _Pipe, notes: IO[bytes]) -> NoReturn:
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout.writing, 1)
        os.dup2(stderr.writing, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)
        sys.argv = ["reconciler", *run.arguments]
        Reaper(run, tally, notes).install()
        if run.file_bytes_max is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (run.file_bytes_max, run.file_bytes_max))
        if run.migrations is not None:
            open_database(run.arguments[0], Writer(os.getpid(), "test", 0.0), Revisions(*run.migrations)).close()
        else:
            cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # because a fork must never come back into the loop of its parent
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        be_killed(Kill(**orjson.loads(sys.argv[1])), sys.argv[2:])
    else:
        main()
