"""A double of what only real domain controllers do: ranges of members, at most 1,000 entries at once, one for another.

It answers in LDAP (RFC 4511) as [MS-ADTS] 3.1.1.3.1.3.3 describes: of an attribute with more than 1,500 values an empty
list under its own name, with the first values under `;range=0-1499`; a search without pages ends with sizeLimitExceeded
after 1,000 entries. It knows users and one large group, reads filters no further than to tell these apart, and takes
every password: all the rest is asked of Samba.
"""

from __future__ import annotations

import re
import socketserver
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reconciler.sources import ldap_ber as ber
from tests.servers import ldap_messages as ldap

BASE = "DC=example,DC=test"
VALUES_MAX, ENTRIES_MAX = 1500, 1000
_SIZE_LIMIT_EXCEEDED, _NO_SUCH_OBJECT = 4, 32
_RANGE = re.compile(r"(\w+);range=(\d+)-(\d+|\*)", re.IGNORECASE)


class Controller:
    """A domain of `people` users who are all in one group."""

    def __init__(self, people: int) -> None:
        self.users = [(uuid.uuid5(uuid.NAMESPACE_OID, str(n)), f"CN=u{n},OU=People,{BASE}") for n in range(people)]
        self.group = uuid.uuid5(uuid.NAMESPACE_OID, "all"), f"CN=all,OU=Groups,{BASE}"
        self.ranges: list[str] = []
        """The ranges that were asked for, in order."""
        self.stops_after: int | None = None
        """So many ranges are answered, and then the group is said to be gone."""
        self.breaks_at = ""
        """A search whose filter names this breaks the connection, once."""
        self.is_one_of_two = False
        """Whether another controller of the domain answers after that."""
        self.name = "DC1"
        self.port = 0

    @property
    def itself(self) -> dict[str, dict[str, list[bytes]]]:
        """What it says of itself, by the names of entries."""
        service = f"CN=NTDS Settings,CN={self.name},{BASE}"
        invocation = uuid.uuid5(uuid.NAMESPACE_OID, self.name)
        counted = {"dsServiceName": [service.encode()], "highestCommittedUSN": [b"1000"]}
        return {
            "": {"defaultNamingContext": [BASE.encode()], **counted},
            service: {"invocationId": [invocation.bytes_le]},
        }

    def rows(self, base: str, filter_: bytes) -> list[tuple[uuid.UUID, str]]:
        """Return who is searched for."""
        if base.lower() == self.group[1].lower():
            gone = self.stops_after is not None and len(self.ranges) >= self.stops_after
            return [] if gone else [self.group]
        return [self.group] if b"group" in filter_ else self.users

    def attributes(self, row: tuple[uuid.UUID, str], asked: Sequence[str]) -> dict[str, list[bytes]]:
        guid, dn = row
        found = {"objectGUID": [guid.bytes_le], "cn": [dn.partition(",")[0][3:].encode()]}
        if row == self.group:
            for name in asked:
                found.update(self._members(name))
        return found

    def _members(self, name: str) -> dict[str, list[bytes]]:
        everybody = [f"<GUID={guid}>;{dn}".encode() for guid, dn in self.users]
        ranged = _RANGE.fullmatch(name)
        if name.lower() == "member" and len(everybody) <= VALUES_MAX:
            return {"member": everybody}
        if name.lower() != "member" and ranged is None:
            return {}
        first = int(ranged[2]) if ranged else 0
        last = min(int(ranged[3]) if ranged and ranged[3] != "*" else len(everybody), first + VALUES_MAX - 1)
        if ranged:
            self.ranges.append(name)
        end = "*" if last >= len(everybody) - 1 else str(last)
        shown = {f"member;range={first}-{end}": everybody[first : last + 1]}
        return shown if ranged else {"member": [], **shown}


class _Talk(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        waiting = b""
        while data := self.request.recv(65536):
            waiting += data
            while (length := ldap.whole(waiting)) is not None:
                taken, waiting = waiting[:length], waiting[length:]
                (_, number), (tag, content), *rest = ber.inside(taken)
                if tag == ldap.UNBIND:
                    return
                if tag == ldap.SEARCH and self._breaks(content):
                    return
                for answer, controls in self._answers(tag, content, rest[0][1] if rest else b""):
                    self.request.sendall(ldap.message(number, answer, controls))

    def _breaks(self, content: bytes) -> bool:
        controller: Controller = self.server.controller  # type: ignore[attr-defined]  # set where it is made
        word = controller.breaks_at.encode()
        if not word or word not in ldap.searched(content, b"").filter:
            return False
        controller.breaks_at = ""
        controller.name = "DC2" if controller.is_one_of_two else controller.name
        return True

    def _answers(self, tag: int, content: bytes, controls: bytes) -> Iterator[tuple[bytes, bytes]]:
        if tag == ldap.BIND:
            yield ldap.result(ldap.BOUND, 0), b""
        if tag != ldap.SEARCH:
            return
        controller: Controller = self.server.controller  # type: ignore[attr-defined]  # set where it is made
        asked = ldap.searched(content, controls)
        if (shown := controller.itself.get(asked.base)) is not None:
            yield ldap.entry(asked.base.encode(), shown), b""
            yield ldap.result(ldap.DONE, 0), b""
            return
        rows, size, start = controller.rows(asked.base, asked.filter), asked.page_size, int(asked.cookie or 0)
        if not rows:
            yield ldap.result(ldap.DONE, _NO_SUCH_OBJECT), b""
            return
        page = rows[start : start + min(size or ENTRIES_MAX, ENTRIES_MAX)]
        for row in page:
            yield ldap.entry(row[1].encode(), controller.attributes(row, asked.names)), b""
        more = start + len(page) < len(rows)
        if size is None:
            yield ldap.result(ldap.DONE, _SIZE_LIMIT_EXCEEDED if more else 0), b""
        else:
            yield ldap.result(ldap.DONE, 0), ldap.paged(str(start + len(page)).encode() if more else b"")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def running_controller(people: int) -> Iterator[Controller]:
    """Run the double on a free port of this machine."""
    controller = Controller(people)
    with _Server(("127.0.0.1", 0), _Talk) as server:
        server.controller = controller  # type: ignore[attr-defined]  # what its talks are about
        controller.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield controller
        finally:
            server.shutdown()
            thread.join()
