"""Asks an OpenLDAP server what changed since a cookie, or to say so when it happens (RFC 4533)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ldap.controls import RequestControl, ResponseControl

from reconciler.core.model import SourceId
from reconciler.sources import ldap_ber as ber
from reconciler.sources.ldap_names import canonical, is_below
from reconciler.sources.ldap_refusals import Refused
from reconciler.sources.ldap_values import text_of, values_of
from reconciler.sources.ldap_wire import Finished, Raw, Search, Wire

REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
_STATE, _DONE, _INFO = (f"{REQUEST[:-1]}{n}" for n in (2, 3, 4))
_REFRESH_ONLY, _REFRESH_AND_PERSIST = 1, 3
_CONTEXTS, _STATE_OF_ALL = "namingContexts", "contextCSN"
_CSN = r"\d{14}\.\d{6}Z#[0-9a-f]{6}#[0-9a-f]{3}#[0-9a-f]{6}"
_COOKIE = re.compile(rf"rid=\d+(?:,sid=[0-9a-f]+)?,csn={_CSN}(?:;{_CSN})*(?:,.*)?")
FEW = 10
"""So many changes are believed of the smallest directory."""
_UNAVAILABLE = 12
_NO_SYNCPROV = "the directory cannot say when something changes, or may not to this user"
_HINT = "OpenLDAP does with the overlay syncprov (RFC 4533); else set announced = false"
_DELETED = 3
_PRESENT = 0


@dataclass(slots=True)
class Round:
    """What changed since a cookie."""

    changed: dict[SourceId, Raw] = field(default_factory=dict)
    gone: set[SourceId] = field(default_factory=set)
    """Deleted, or not what is searched for any more; may name what never was."""
    cookie: str | None = None
    """For the next round; None: nothing changed, and the old one is still good."""


@dataclass(slots=True)
class Sweep:
    """Where a walk through everything has come to."""

    cookie: str | None = None
    refused: Refused | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class NoDelta:
    """The server could not say what changed: everything has to be read."""

    why: str


class _SyncRequest(RequestControl):
    def __init__(self, cookie: str | None, *, mode: int = _REFRESH_ONLY) -> None:
        value = ber.written(ber.ENUMERATED, bytes((mode,)))
        if cookie is not None:
            value += ber.written(ber.OCTETS, cookie.encode())
        super().__init__(REQUEST, True, ber.written(ber.SEQUENCE, value))


class _State(ResponseControl):
    """What happened to one entry. Taken apart by hand: there is one for every entry."""

    state: int
    id: SourceId

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803  # python-ldap's names
        (_, state), (_, anchor), *_ = ber.inside(encodedControlValue)
        self.state, self.id = state[0], SourceId(str(uuid.UUID(bytes=anchor)))


class _Done(ResponseControl):
    cookie: str | None
    refresh_deletes: bool

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803  # python-ldap's names
        self.cookie, self.refresh_deletes = None, False
        for tag, content in ber.inside(encodedControlValue):
            if tag == ber.OCTETS:
                self.cookie = content.decode()
            elif tag == ber.BOOLEAN:
                self.refresh_deletes = content != b"\0"


_ANSWERS: dict[str, type[Any]] = {_STATE: _State, _DONE: _Done}


def sweep(wire: Wire, base: str, text: str, end: Sweep) -> Iterator[list[tuple[str, SourceId]]]:
    """Yield name and anchor of everything that is searched for, nothing else; `end` says how it ended."""
    page: list[tuple[str, SourceId]] = []
    for answer in wire.stream(base, text, ["1.1"], controls=[_SyncRequest(None)], answers=_ANSWERS):
        match answer:
            case Refused():
                end.refused = answer
            case Finished(controls=controls):
                for done in controls:
                    if isinstance(done, _Done):
                        end.cookie = done.cookie
            case _:
                page += [(raw.dn, state.id) for raw in answer for state in raw.controls if isinstance(state, _State)]
                if len(page) >= 1000:
                    end.count += len(page)
                    yield page
                    page = []
    end.count += len(page)
    yield page


def changes(
    wire: Wire, base: str, text: str, attributes: list[str], cookie: str, *, known: int, most: int
) -> Round | NoDelta | Refused:
    """Return what changed since the cookie, or why that cannot be told.

    A cookie that the server does not understand is taken for none: everything comes, and no deletions. So a round
    that shows more than half of the `known` entries, or more than `most`, is not believed. Neither is one by
    presence: who is not mentioned in it is gone, which the full reading says as well, and surer.
    """
    found = Round()
    if not _COOKIE.fullmatch(cookie):
        return NoDelta("the cookie is none of OpenLDAP's")
    limit = min(most, max(known // 2, FEW))
    for answer in wire.stream(base, text, attributes, controls=[_SyncRequest(cookie)], answers=_ANSWERS):
        match answer:
            case Refused():
                return NoDelta(answer.why) if answer.code is not None else answer
            case Finished(controls=controls):
                done = next((one for one in controls if isinstance(one, _Done)), None)
                if done is None:
                    return NoDelta("the server did not end the round as a synchronisation")
                if done.cookie is not None and not done.refresh_deletes:
                    return NoDelta("the server's log does not go back so far")
                found.cookie = done.cookie
                found.gone -= found.changed.keys()
                return found
            case (str() as name, bytes() as value):
                try:
                    goes_on = name != _INFO or _note(value, found)
                except ValueError:
                    return NoDelta("the server's answer cannot be read")
                if not goes_on:
                    return NoDelta("the server's log does not go back so far")
            case _:
                for raw in answer:
                    _take(raw, found)
        if len(found.changed) > limit:
            return NoDelta(f"it shows more than {limit:,} of {known:,} entries as changed")
    raise AssertionError("a search ends")


def listen(wire: Wire, places: Sequence[tuple[str, str]]) -> Iterator[bool | Refused]:
    """Yield True when listening at all (base, filter) has begun, and for each change; False: nothing for a moment.

    It begins where the directory is now, so that nobody is sent all of it. A Refused is the last thing.
    """
    searches = []
    for base, text in dict.fromkeys(places):
        cookie = _now(wire, base)
        if isinstance(cookie, Refused):
            yield cookie
            return
        searches.append(Search(base, text, ["1.1"], [_SyncRequest(cookie, mode=_REFRESH_AND_PERSIST)]))
    refreshing = set(range(len(searches)))
    for heard in wire.follow(searches, _ANSWERS):
        match heard:
            case Refused():
                yield Refused(_NO_SYNCPROV, _UNAVAILABLE, _HINT) if heard.code == _UNAVAILABLE else heard
            case None:
                yield False
            case _ if not refreshing:
                yield not heard.infos or any(name != _INFO or _says_gone(value) for name, value in heard.infos)
            case _:
                if any(name == _INFO and _ends_refresh(value) for name, value in heard.infos):
                    refreshing.discard(heard.position)
                    yield not refreshing


def _now(wire: Wire, base: str) -> str | Refused | None:
    """Return a cookie of the state that the directory is in; None where it does not show that."""
    root = wire.one("", [_CONTEXTS, "supportedControl"])
    if isinstance(root, Refused):
        return root
    if root is None or REQUEST.encode() not in values_of(root.attributes, "supportedControl"):
        return Refused(_NO_SYNCPROV, _UNAVAILABLE, _HINT)
    name = canonical(base) or ""
    for context in map(text_of, values_of(root.attributes, _CONTEXTS)):
        if is_below(name, canonical(context) or context):
            found = wire.one(context, [_STATE_OF_ALL])
            if isinstance(found, Refused):
                return found
            csns = [text_of(one) for one in values_of(found.attributes, _STATE_OF_ALL)] if found is not None else []
            if csns:
                return f"rid=000,csn={';'.join(csns)}"
    return None


def _ends_refresh(value: bytes) -> bool:
    """Return whether an intermediate answer says that from now on only changes come."""
    tag, content = ber.first(value)
    if tag not in (0xA1, 0xA2):
        return False
    return not any(one == ber.BOOLEAN and said == b"\0" for one, said in ber.parts(content))


def _says_gone(value: bytes) -> bool:
    """Return whether an intermediate answer names entries, and not just a new cookie."""
    return ber.first(value)[0] == 0xA3


def _take(raw: Raw, found: Round) -> None:
    for state in raw.controls:
        if isinstance(state, _State):
            if state.state == _DELETED:
                found.gone.add(state.id)
                found.changed.pop(state.id, None)
            elif state.state != _PRESENT:
                found.changed[state.id] = raw


def _note(value: bytes, found: Round) -> bool:
    """Take in an intermediate answer; return False where it is one of the entries that are still there."""
    tag, content = ber.first(value)
    if tag == 0xA2:
        return False
    if tag != 0xA3:
        return True
    fields = list(ber.parts(content))
    deletes = any(one == ber.BOOLEAN and said != b"\0" for one, said in fields)
    for one, said in fields:
        if one == ber.SET:
            found.gone.update(SourceId(str(uuid.UUID(bytes=anchor))) for _, anchor in ber.parts(said))
    return deletes
