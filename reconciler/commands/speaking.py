"""Asks the running daemon over its Unix socket; imports next to nothing, so that it feels instant."""

from __future__ import annotations

import os
import select
import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from reconciler.commands.options import is_there, named_config
from reconciler.commands.printing import plain
from reconciler.errors import ConfigError, NoAnswer, Problem, ReconcilerError

ANSWER_SECONDS = 150.0
"""How long an answer may take: a restart waits for the running cycle to end."""
CONNECT_SECONDS = 5.0
OF_THE_SYSTEM = Path("/run/reconciler/control.sock")
"""Where the unit that we ship puts it."""
_START = "start it with `reconciler run`, or `systemctl start reconciler`"

_Command = TypeVar("_Command", bound=Callable[..., Any])
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon of a configuration, running or not."""

    config: Path
    socket: Path | None
    """Where it listens, if that was said."""

    @property
    def place(self) -> Path:
        """Return where it listens. Raises NoAnswer and ConfigError where nothing says."""
        return self.socket or _place(self.config)

    @property
    def listens(self) -> bool:
        """Return whether it runs. Raises NoAnswer where it does and does not let us in."""
        try:
            place = self.place
            if not place.exists():
                return False
        except (NoAnswer, PermissionError):
            return False  # nothing says where: whether it runs, the lock of the state says
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONNECT_SECONDS)
            try:
                connection.connect(os.fspath(place))
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError as error:
                raise _silent(place, error) from None
        return True

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS
    ) -> Json:
        """Return its answer. Raises NoAnswer, and ReconcilerError where it refuses, with its words."""
        return ask(self.place, method, path, body, seconds=seconds)

    def ask_job(self, job: str, verb: str, *, seconds: float = ANSWER_SECONDS, **body: Any) -> Json:
        """Return what a verb on a job is answered with, within so many seconds."""
        return ask(self.place, "POST", f"/v1/jobs/{quoted(job)}/{verb}", body, seconds=seconds)

    def events(self, job: str | None = None) -> Events:
        return Events(self.place, job)


def asks_daemon(command: _Command) -> _Command:
    """Give the command `-c FILE` and `--socket PATH`; it gets `daemon: Daemon`."""

    def found(ctx: click.Context, _: click.Parameter, value: Path | None) -> Daemon:
        return Daemon(named_config(ctx, ctx.params.pop("config", None)), value)

    with_socket = click.option(
        "--socket",
        "daemon",
        type=click.Path(path_type=Path),
        callback=found,
        help="The daemon's socket. Default: what the configuration says, else the one of the system's service.",
    )(command)
    return click.option(
        "-c", "--config", type=click.Path(path_type=Path), is_eager=True, help="The configuration file."
    )(with_socket)


def ask(
    place: Path, method: str, path: str, body: Mapping[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS
) -> Json:
    """Return the daemon's answer. Raises NoAnswer, and ReconcilerError where it refuses, with its words."""
    with _connected(place) as connection:
        _send(connection, place, method, path, body)
        raw = b"".join(_received(connection, place, seconds))
    if not raw:
        raise _ended(place)
    head, _, content = raw.partition(b"\r\n\r\n")
    return _judged(_status(head, place), content, place)


def quoted(name: str) -> str:
    """Return a job's name as a part of a path."""
    return "".join(chr(b) if (chr(b).isalnum() and b < 128) or chr(b) in "-_.~" else f"%{b:02X}" for b in name.encode())


class Events:
    """What happens at the daemon from now on, within `with`."""

    def __init__(self, place: Path, job: str | None = None) -> None:
        self._place, self._query = place, f"?job={quoted(job)}" if job is not None else ""

    def __enter__(self) -> Events:
        self._connection = _connected(self._place)
        try:
            self._begin()
        except ReconcilerError:
            self._connection.close()
            raise
        return self

    def _begin(self) -> None:
        """Ask, and read until the daemon says that it tells from now on."""
        _send(self._connection, self._place, "GET", f"/v1/events{self._query}", None)
        self._unread = b""
        while b"\n\n" not in self._unread.partition(b"\r\n\r\n")[2]:
            data = self._receive(ANSWER_SECONDS)
            if not data:
                head, _, content = self._unread.partition(b"\r\n\r\n")
                _judged(_status(head, self._place), content, self._place)
                raise _ended(self._place)
            self._unread += data
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        if _status(head, self._place) != 200:
            _judged(_status(head, self._place), self._unread, self._place)

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def next(self, seconds: float) -> Json | None:
        """Return the next event, None where none came within so many seconds. Raises NoAnswer at the daemon's end."""
        while True:
            block, end, rest = self._unread.partition(b"\n\n")
            if end:
                self._unread = rest
                if (event := _event(block)) is not None:
                    return event
                continue
            if not select.select([self._connection], [], [], seconds)[0]:
                return None
            data = self._receive(seconds)
            if not data:
                raise _ended(self._place)
            self._unread += data

    def _receive(self, seconds: float) -> bytes:
        self._connection.settimeout(seconds)
        try:
            return self._connection.recv(65536)
        except OSError as error:
            raise _silent(self._place, error) from None


def _event(block: bytes) -> Json | None:
    data = b"".join(line[6:] for line in block.splitlines() if line.startswith(b"data: "))
    return orjson.loads(data) if data else None


def _connected(place: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(os.fspath(place))
    except OSError as error:
        connection.close()
        raise _silent(place, error) from None
    return connection


def _send(connection: socket.socket, place: Path, method: str, path: str, body: Mapping[str, Any] | None) -> None:
    content = b"" if body is None else orjson.dumps(body)
    # HTTP/1.0, so that the answer ends with the connection and needs no putting together
    head = f"{method} {path} HTTP/1.0\r\nHost: reconciler\r\nContent-Length: {len(content)}\r\n\r\n"
    try:
        connection.sendall(head.encode() + content)
    except OSError as error:
        raise _silent(place, error) from None


def _received(connection: socket.socket, place: Path, seconds: float) -> Iterator[bytes]:
    connection.settimeout(seconds)
    try:
        while data := connection.recv(65536):
            yield data
    except OSError as error:
        raise _silent(place, error) from None


def _status(head: bytes, place: Path) -> int:
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise _stranger(place)
    return int(words[1])


def _judged(status: int, content: bytes, place: Path) -> Json:
    answer: Any
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = {"error": f"it answered with {status}", "hint": "its log says more"} if status >= 300 else None
    if not isinstance(answer, dict) or (status >= 300 and not {"error", "problem"} & answer.keys()):
        raise _stranger(place)
    if status < 300:
        return answer
    text = str(answer.get("error") or answer.get("problem")) + (f" ({answer['hint']})" if answer.get("hint") else "")
    if status >= 500:
        raise NoAnswer(f"the daemon cannot do it now: {text}")
    raise ReconcilerError("\n".join(map(plain, answer.get("problems", [text]))))


def _stranger(place: Path) -> NoAnswer:
    return NoAnswer(f"what listens at {place} is no reconciler daemon; name its socket in [control], or with --socket")


def _ended(place: Path) -> NoAnswer:
    return NoAnswer(f"the daemon at {place} has ended; {_START}")


def _silent(place: Path, error: OSError) -> NoAnswer:
    match error:
        case FileNotFoundError():
            text = f"there is no socket at {place}: it is not running, or its [control] socket is another; {_START}"
        case ConnectionRefusedError():
            text = f"nobody listens at {place}; {_START}"
        case PermissionError():
            text = f"you may not open {place}; ask to be made a member of its group ([control] group)"
        case TimeoutError():
            text = f"{place} is silent; look at its log"
        case _ if len(os.fsencode(place)) > 107:
            text = f"{place} is too long for a socket's path; name a shorter one in [control] socket"
        case _:
            text = f"{place}: {error.strerror or error}; {_START}"
    return NoAnswer(f"the daemon does not answer: {text}")


# --- where it listens --------------------------------------------------------------------------------------------


def _place(config: Path) -> Path:
    """Return where the daemon of a configuration listens. The rest of the configuration is not judged."""
    socket_named = _named(config)
    if socket_named is not None:
        return socket_named
    directory = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if directory:
        return Path(directory, "control.sock")
    if OF_THE_SYSTEM.exists():
        return OF_THE_SYSTEM
    if is_there(config):
        raise NoAnswer(
            f'the daemon cannot be asked: {config} names no control socket; add [control] socket = "control.sock", '
            "and start the daemon anew"
        )
    hint = "name one with -c FILE or RECONCILER_CONFIG, or the socket with --socket"
    raise ConfigError(Problem(str(config), "no such configuration file", hint))


def _named(config: Path) -> Path | None:
    main = _tables(config)
    patterns = main.get("include", [])
    files = [config]
    if isinstance(patterns, list):
        files += [file for pattern in patterns for file in _included(config.parent, str(pattern))]
    for file in files:
        control = (main if file == config else _tables(file)).get("control")
        named = control.get("socket") if isinstance(control, dict) else None
        if isinstance(named, str):
            return config.parent / named
    return None


def _included(directory: Path, pattern: str) -> list[Path]:
    start, rest = (Path("/"), pattern[1:]) if pattern.startswith("/") else (directory, pattern)
    return sorted(start.glob(rest)) if rest else []


def _tables(file: Path) -> Json:
    """Return the tables of a file; none where it is not there, or not for us to read: readers need no configuration."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(Problem(str(file), str(error), "`reconciler check` says more")) from None
