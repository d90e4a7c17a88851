"""Waits for the answers of a directory, within bounds of time and length."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import ldap
from ldap.ldapobject import SimpleLDAPObject

POLL_SECONDS = 0.25
"""How soon a connection that is being closed lets go of what it waits for, and how long an answer grows unseen."""
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""No entry is longer. libldap itself takes what the head of a message says, up to 4 GiB."""
ANSWER_ENTRIES_MAX = 100_000
"""So many come for one question, or one page, and no more."""
_PART_ENTRIES = 1000
_EMPTY_PAGES_MAX = 1000
_BYTES_RECEIVED = slice(128, 136)
"""Where tcpi_bytes_received is in Linux's struct tcp_info (linux/tcp.h)."""

Found = tuple[str | None, Any]
"""A name with its attributes; or None with the addresses that a part of what is searched for is said to be at."""


class Endless(Exception):
    """A directory answers without end; the text says how."""


class Stopped(Exception):
    """Somebody closed the source while it waited."""


FAILURES = (ldap.LDAPError, Stopped, Endless, ValueError, LookupError)
"""What comes of an answer that is refused, or cannot be read: python-ldap decodes names and controls as they come."""


class Answers:
    """The answers on one connection."""

    def __init__(self, connection: SimpleLDAPObject, timeout_seconds: float, closing: threading.Event) -> None:
        """Each answer may take `timeout_seconds`; all waiting ends soon when `closing` is set."""
        self._connection, self._timeout_seconds, self._closing = connection, timeout_seconds, closing

    def wait(self, number: int, *, every: bool = True, **options: Any) -> Any:
        """Return what python-ldap makes of an answer; raises ldap.TIMEOUT, Endless and Stopped."""
        left, before = self._timeout_seconds, None
        while not self._closing.is_set():
            try:
                return self._connection.result4(number, int(every), timeout=min(left, POLL_SECONDS), **options)
            except ldap.TIMEOUT:
                left -= POLL_SECONDS
                if left <= 0:
                    self._abandon(number)
                    raise
                before = self._received_bytes() if before is None else before
                self._look_at_length(before)
        raise Stopped

    def parts(self, number: int) -> Iterator[tuple[Sequence[Found], Sequence[Any]]]:
        """Yield what one search answers, with the controls that come at its end.

        All at once; in parts where it takes long, so that it does not grow in libldap: however long an answer is, it
        takes the memory of a part.
        """
        left, before, count = self._timeout_seconds, self._received_bytes(), 0
        finished = full = False
        try:
            while not finished:
                if self._closing.is_set():
                    raise Stopped
                patience = 0 if full else min(left, POLL_SECONDS)
                try:
                    kind, came, _, controls, _, _ = self._connection.result4(number, timeout=patience)
                except ldap.TIMEOUT:
                    kind, left = None, left - POLL_SECONDS
                    if left <= 0:
                        raise
                finished = kind is not None
                if not finished:
                    came, finished, controls = self._come_so_far(number)
                full = len(came) >= _PART_ENTRIES
                if came:
                    count += len(came)
                    self._look_at(came, before, count)
                    before = self._received_bytes()
                else:
                    self._look_at_length(before)
                yield came, controls
        except ldap.TIMEOUT:
            raise
        except ldap.LDAPError:
            finished = True
            raise
        finally:
            if not finished:
                self._abandon(number)

    def _come_so_far(self, number: int) -> tuple[list[Found], bool, Sequence[Any]]:
        """Return a part of what has come of an answer, whether it is the last one, and the controls there."""
        came: list[Found] = []
        weight = 0
        while len(came) < _PART_ENTRIES and weight < MESSAGE_BYTES_MAX:
            kind, data, _, controls, _, _ = self._connection.result4(number, ldap.MSG_ONE, timeout=0)
            if kind is None:
                break
            if kind == ldap.RES_SEARCH_RESULT:
                return came, True, controls
            came += data
            weight += sum(map(_bytes_of, data))
        return came, False, ()

    def _look_at(self, came: Sequence[Found], before: int, count: int) -> None:
        if count > ANSWER_ENTRIES_MAX:
            raise Endless(f"more than {ANSWER_ENTRIES_MAX:,} entries come for one question")
        grown = self._received_bytes() - before
        if (grown == 0 or grown > MESSAGE_BYTES_MAX) and any(_bytes_of(one) > MESSAGE_BYTES_MAX for one in came):
            raise Endless(f"an entry is longer than {MESSAGE_BYTES_MAX // 2**20} MiB")

    def _look_at_length(self, before: int) -> None:
        """Raise Endless where more has come than an answer may have, and none is whole."""
        if self._received_bytes() - before > MESSAGE_BYTES_MAX:
            raise Endless(f"one answer is longer than {MESSAGE_BYTES_MAX // 2**20} MiB")

    def _received_bytes(self) -> int:
        """Return how much has come over this connection; 0 where nobody says (a Unix socket, a broken connection)."""
        try:
            with socket.socket(fileno=os.dup(self._connection.get_option(ldap.OPT_DESC))) as beside:
                if beside.family not in (socket.AF_INET, socket.AF_INET6):
                    return 0
                told = beside.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED.stop)
        except OSError:
            return 0
        return int.from_bytes(told[_BYTES_RECEIVED], sys.byteorder)

    def _abandon(self, number: int) -> None:
        with suppress(ldap.LDAPError):
            self._connection.abandon(number)


class Pages:
    """Notices that the pages of a search repeat, in the memory of one page's digest.

    One digest is kept and renewed at the pages 1, 2, 4, 8 …: whoever goes round meets it again (Brent's algorithm).
    """

    def __init__(self) -> None:
        self._page, self._shown = blake2b(digest_size=16), 0
        self._count = self._empty = 0
        self._kept = b""

    def take(self, names: Sequence[str]) -> None:
        """Take in names on the page."""
        self._page.update("\n".join((*names, "")).encode(errors="surrogatepass"))
        self._shown += len(names)

    def turn(self) -> None:
        """Hear that there is one more page. Raises Endless."""
        shown, digest = self._shown, self._page.digest()
        self._page, self._shown = blake2b(digest_size=16), 0
        if not shown:
            self._empty += 1
            if self._empty > _EMPTY_PAGES_MAX:
                raise Endless(f"more than {_EMPTY_PAGES_MAX:,} pages in a row show nobody, and say that there are more")
            return
        self._empty = 0
        if digest == self._kept:
            raise Endless("the pages go round in circles: one that was shown comes again")
        self._count += 1
        if self._count & (self._count - 1) == 0:
            self._kept = digest


def _bytes_of(found: Found) -> int:
    dn, values = found
    return 0 if dn is None else sum(len(value) for of in values.values() for value in of)
