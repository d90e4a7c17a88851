"""People and teams in a real slapd, and what reads it; tests that use it are left out where there is no slapd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from reconciler.core.model import SourceId
from reconciler.ports import Source, Wanted
from reconciler.runtime.clock import SystemClock
from tests.servers.slapd import (
    GROUPS,
    PEOPLE,
    READER,
    READER_PASSWORD,
    Slapd,
    group,
    person,
    team,
    user,
    why_no_slapd,
)

if why_no_slapd() is not None:
    pytest.skip(why_no_slapd() or "", allow_module_level=True)

from reconciler.sources.ldap import LdapSource
from reconciler.sources.ldap_layout import Changes, Layout, Place
from reconciler.sources.ldap_refusals import Address
from reconciler.sources.ldap_token import Token
from reconciler.sources.ldap_wire import Anonymous, Bind, SaslBind, SimpleBind

__all__ = [
    "Address",
    "Anonymous",
    "Bind",
    "Changes",
    "Layout",
    "LdapSource",
    "Place",
    "SaslBind",
    "SimpleBind",
    "Token",
]

LAYOUT = Layout(Place(PEOPLE, "(objectClass=inetOrgPerson)"), Place(GROUPS, "(objectClass=groupOfNames)"))
ALL = Wanted(
    frozenset({"id", "uid", "title", "mail", "manager", "description", "displayName"}),
    frozenset({"cn"}),
    users=True,
    groups=True,
    memberships=True,
)


def reading(slapd: Slapd, layout: Layout = LAYOUT, *, changes: Changes = "auto") -> LdapSource:
    """Return the source that reads it as a user who may read everything."""
    address = Address(slapd.tls_url, ca_file=slapd.ca_file)
    return LdapSource(
        "staff", address, SimpleBind(READER, lambda: READER_PASSWORD), layout, changes=changes, clock=SystemClock()
    )


class SlapdScene:
    """People and teams in a slapd of their own."""

    wanted = ALL
    repeats = False
    text, several, reference = "displayName", "description", "manager"

    def __init__(self, slapd: Slapd) -> None:
        self.slapd = slapd
        self.layout = LAYOUT
        self.changes: Changes = "auto"
        self._ids: dict[str, SourceId] = {}

    def open(self) -> Source:
        return reading(self.slapd, self.layout, changes=self.changes)

    def id_of(self, who: str) -> SourceId:
        return self._ids[who]

    async def hire(self, who: str, *, text: str = "", several: Sequence[str] = (), boss: str | None = None) -> None:
        more: dict[str, str | Sequence[str]] = {"description": several} if several else {}
        if boss is not None:
            more["manager"] = person(boss)
        self.slapd.add(user(who, displayName=text, **more))
        self._ids[who] = SourceId(self.slapd.uuid(person(who)))

    async def change(self, who: str, *, text: str) -> None:
        self.slapd.set(person(who), displayName=text)

    async def dismiss(self, who: str) -> None:
        self.slapd.delete(person(who))

    async def found(self, name: str, *members: str) -> None:
        self.slapd.add(group(name, list(map(person, members))))
        self._ids[name] = SourceId(self.slapd.uuid(team(name)))

    async def enter(self, name: str, who: str) -> None:
        self.slapd.join(name, person(who))

    async def quit(self, name: str, who: str) -> None:
        self.slapd.leave(name, person(who))

    async def disband(self, name: str) -> None:
        self.slapd.delete(team(name))

    async def foreign_tokens(self, token: str) -> Sequence[str]:
        ours = Token.read(token)
        assert ours is not None
        cookie = ours.cookies["user"]
        wrong = ["", "not a cookie", "rid=000"]
        if self.changes == "auto":
            wrong.append(cookie.replace("csn=20", "csn=29"))
        others = [
            replace(ours, server="another"),
            replace(ours, question="another"),
            replace(ours, way="another"),
            replace(ours, cookies={}),
            *(replace(ours, cookies={**ours.cookies, "user": one}) for one in wrong),
        ]
        return [
            "",
            "{}",
            cookie,
            token[:-2],
            token.replace(cookie, cookie.replace("20", "19")),
            *(one.written() for one in others),
        ]

    async def fail_midway(self) -> None:
        """From now on the reader is given one entry and no more."""
        self.slapd.limit_reader("size=1")
