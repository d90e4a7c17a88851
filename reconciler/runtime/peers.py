"""Who speaks through the control socket, as the kernel says, and what they may do."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_CREDENTIALS = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""socket(7); Python has no name for it."""
_GROUPS_MAX_BYTES = 1024
_ID_MAX = 2**32 - 1


class Right(StrEnum):
    READ = "read"
    OPERATE = "operate"
    """To read, and to change what the daemon does."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as it was when it connected."""

    pid: int
    uid: int
    groups: frozenset[int]

    @property
    def name(self) -> str:
        """Return the user's name; the number where this machine has no name for it (in a container, say)."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"


@dataclass(frozen=True, slots=True)
class People:
    """Users and groups by number."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def __contains__(self, peer: Peer) -> bool:
        return peer.uid in self.uids or not self.gids.isdisjoint(peer.groups)


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may do what. Root and the daemon's own user may always do everything."""

    operators: People
    readers: People
    own_uid: int

    def of(self, peer: Peer) -> Right | None:
        """Return what the peer may do, None: nothing."""
        if peer.uid in (0, self.own_uid) or peer in self.operators:
            return Right.OPERATE
        return Right.READ if peer in self.readers else None


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end of a Unix socket (SO_PEERCRED, SO_PEERGROUPS)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(credentials)
    return Peer(pid, uid, frozenset({gid, *_further_groups(connection, uid, gid)}))


def _further_groups(connection: socket.socket, uid: int, gid: int) -> list[int]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_MAX_BYTES)
        return list(struct.unpack(f"{len(raw) // 4}I", raw))
    except OSError:
        # an old kernel, or more groups than the call gives: ask the machine's own directory of users
        try:
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        except KeyError:
            return []


def people_named(names: Iterable[str]) -> tuple[People, tuple[str, ...]]:
    """Return who is meant by `ann`, `1000`, `group:it` and `group:1000`, and the names that this machine has not."""
    uids, gids, unknown = set(), set(), []
    for name in names:
        kind, _, rest = name.partition(":") if ":" in name else ("user", "", name)
        number = _number(kind, rest)
        if number is None:
            unknown.append(name)
        elif kind == "group":
            gids.add(number)
        else:
            uids.add(number)
    return People(frozenset(uids), frozenset(gids)), tuple(unknown)


def group_number(name: str) -> int | None:
    """Return the number of a group by name or number, None where this machine has no such group."""
    return _number("group", name)


def _number(kind: str, name: str) -> int | None:
    if name.isascii() and name.isdigit():
        return int(name) if int(name) < _ID_MAX else None
    try:
        return grp.getgrnam(name).gr_gid if kind == "group" else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
