"""Sees to it that a connection to a directory opens in time, or not at all."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ldap
from ldap.ldapobject import SimpleLDAPObject

_POLL_SECONDS = 0.25
_OPEN_FILES = Path("/proc/self/fd")


@contextmanager
def broken_off(after_seconds: float, port: int, closing: threading.Event) -> Iterator[None]:
    """Break what the block connects to this port where it takes longer, or when `closing` is set.

    libldap itself shakes hands for TLS without a limit (with GnuTLS, and at full speed), and python-ldap must not be
    asked by a second thread meanwhile: so its connection is found among the open files of this process.
    """
    before, over = _sockets(), threading.Event()

    def watch() -> None:
        left = after_seconds
        while left > 0 and not closing.is_set():
            if over.wait(min(left, _POLL_SECONDS)):
                return
            left -= _POLL_SECONDS
        for name in _sockets() - before:
            _break(name, port)

    thread = threading.Thread(target=watch, name="ldap-opening", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def let_reads_end(connection: SimpleLDAPObject) -> None:
    """Let each read of an open connection end soon: libldap waits for the rest of a message without a limit."""
    with socket.socket(fileno=os.dup(connection.get_option(ldap.OPT_DESC))) as beside:
        spell = struct.pack("ll", 0, int(_POLL_SECONDS * 1_000_000))
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, spell)


def _sockets() -> set[tuple[str, str]]:
    """Return the open sockets of this process: the number of each, and which it is."""
    found = set()
    with suppress(FileNotFoundError):
        for name in os.listdir(_OPEN_FILES):  # noqa: PTH208  # because of thousands no objects are needed
            with suppress(OSError):
                which = os.readlink(_OPEN_FILES / name)  # noqa: PTH115  # a socket has no path
                if which.startswith("socket:"):
                    found.add((name, which))
    return found


def _break(found: tuple[str, str], port: int) -> None:
    with suppress(OSError), socket.socket(fileno=os.dup(int(found[0]))) as beside:
        peer = beside.getpeername()
        if isinstance(peer, tuple) and peer[1] == port:
            beside.shutdown(socket.SHUT_RDWR)
