"""Speaks LDAP through libldap: one connection, used from one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import ldap
import ldap.sasl
from ldap.controls import RequestControl
from ldap.controls.libldap import SimplePagedResultsControl
from ldap.ldapobject import SimpleLDAPObject

from reconciler.core.outcomes import Failed, Fault
from reconciler.errors import ConfigError
from reconciler.sources.ldap_tls import why_not

POLL_SECONDS = 1.0
"""How soon a connection that is being closed lets go of what it waits for."""
_LOOK_SECONDS_MAX = 5.0
_TLS_1_2 = 0x303
_KEEPALIVE = ((ldap.OPT_X_KEEPALIVE_IDLE, 60), (ldap.OPT_X_KEEPALIVE_INTERVAL, 10), (ldap.OPT_X_KEEPALIVE_PROBES, 3))
_AD_SAYS = {
    "525": "there is no such user",
    "52e": "user name or password is wrong",
    "530": "the user may not sign in at this time",
    "531": "the user may not sign in from this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}

BASE: Literal[0] = 0
SUBTREE: Literal[2] = 2


class Raw(NamedTuple):
    """An entry as the directory answers it."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]
    controls: Sequence[Any] = ()

    @property
    def plain_dn(self) -> str:
        """Return the name without GUID and SID, which Active Directory puts in front of it where it is asked to."""
        return self.dn.rpartition(">;")[2]


@dataclass(frozen=True, slots=True)
class Refused:
    """The directory did not do what was asked; `why` is a sentence without secrets."""

    why: str
    code: int | None = None
    """The LDAP result code; None where no answer came at all."""
    hint: str = ""
    fault: Failed | None = None
    """The directory as a whole cannot be worked with."""

    @property
    def nothing_there(self) -> bool:
        return self.code == 32


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a search that was answered whole."""

    controls: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """One search that goes on for as long as somebody listens."""

    base: str
    filter: str
    attributes: Sequence[str]
    controls: Sequence[RequestControl]


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that such a search answered."""

    position: int
    """Of the search, as they were given."""
    infos: Sequence[tuple[str, bytes]]
    """The intermediate answers among it, as (name, value)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a directory is, and how the way there is protected."""

    url: str
    start_tls: bool = False
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class SimpleBind:
    dn: str
    read_password: Callable[[], str]


@dataclass(frozen=True, slots=True)
class SaslBind:
    """EXTERNAL: the certificate, or on a Unix socket the process, says who we are. GSSAPI: a Kerberos ticket does."""

    mechanism: Literal["EXTERNAL", "GSSAPI"]


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody in particular."""


Bind = SimpleBind | SaslBind | Anonymous


class Wire:
    """One connection: opened at the first use, opened again after it broke. Every answer is a value."""

    def __init__(self, address: Address, bind: Bind) -> None:
        self._address, self._bind = address, bind
        self._connection: SimpleLDAPObject | None = None
        self._closing = threading.Event()

    def open(self) -> Refused | None:
        """Connect, protect the way, and sign in; nothing where that is done already."""
        if self._connection is not None:
            return None
        step = "TLS" if self._address.start_tls else "connect"
        try:
            connection = self._connected()
            if self._address.start_tls:
                connection.start_tls_s()
            step = "bind"
            self._sign_in(connection)
        except (ldap.LDAPError, OSError, ValueError, ConfigError) as error:
            return self._told(error, step)
        self._connection = connection
        return None

    def search(
        self,
        base: str,
        text: str,
        attributes: Sequence[str],
        *,
        scope: Literal[0, 2] = SUBTREE,
        controls: Sequence[RequestControl] = (),
        page_size: int | None = None,
    ) -> Iterator[list[Raw] | Refused]:
        """Yield entries in lists; a Refused is the last thing, and says that these were not all."""
        paged = None if page_size is None else SimplePagedResultsControl(True, size=page_size, cookie="")
        while True:
            if refused := self.open():
                yield refused
                return
            asked = [*controls, paged] if paged is not None else list(controls)
            try:
                number = self._used.search_ext(base, scope, text, list(attributes) or None, serverctrls=asked)
                _, data, _, answered, _, _ = self._result(number)
            except (ldap.LDAPError, _Stopped) as error:
                yield self._told(error, "search")
                return
            if entries := [Raw(dn, found) for dn, found in data or () if dn is not None]:
                yield entries
            cookies = [c.cookie for c in answered if c.controlType == SimplePagedResultsControl.controlType]
            if paged is None or not cookies or not cookies[0]:
                return
            paged.cookie = cookies[0]

    def ask(
        self,
        base: str,
        text: str,
        attributes: Sequence[str],
        *,
        controls: Sequence[RequestControl],
        answers: Mapping[str, type[Any]],
    ) -> tuple[list[Raw], Sequence[Any]] | Refused:
        """Return what one search answers, with the controls that came at its end, decoded by `answers`."""
        if refused := self.open():
            return refused
        try:
            number = self._used.search_ext(base, SUBTREE, text, list(attributes), serverctrls=list(controls))
            _, data, _, controls_of_end, _, _ = self._result(number, resp_ctrl_classes=answers)
        except (ldap.LDAPError, _Stopped) as error:
            return self._told(error, "search")
        return [Raw(dn, found) for dn, found in data or () if dn is not None], controls_of_end

    def stream(
        self,
        base: str,
        text: str,
        attributes: Sequence[str],
        *,
        controls: Sequence[RequestControl],
        answers: Mapping[str, type[Any]],
    ) -> Iterator[list[Raw] | Any | Finished | Refused]:
        """Yield what one search answers as it comes: entries with their controls, intermediate answers, the end.

        `answers` decode controls by their number; an intermediate answer is given as (name, value).
        """
        if refused := self.open():
            yield refused
            return
        number = None
        try:
            number = self._used.search_ext(base, SUBTREE, text, list(attributes) or None, serverctrls=list(controls))
            while True:
                kind, data, _, controls_of_end, _, _ = self._result(
                    number, every=False, add_intermediates=1, add_ctrls=1, resp_ctrl_classes=answers
                )
                if kind == ldap.RES_SEARCH_RESULT:
                    number = None
                    yield Finished(controls_of_end)
                    return
                for found in data or ():
                    if kind == ldap.RES_SEARCH_ENTRY:
                        yield [Raw(*found)]
                    elif kind == ldap.RES_INTERMEDIATE:
                        yield found[0], found[1]
        except (ldap.LDAPError, _Stopped) as error:
            number = None
            yield self._told(error, "search")
        finally:
            if number is not None and self._connection is not None:
                self._connection.abandon(number)

    def follow(self, searches: Sequence[Search], answers: Mapping[str, type[Any]]) -> Iterator[Heard | Refused | None]:
        """Yield what searches that never end answer, as it comes; None where nothing came for a moment.

        A Refused is the last thing. Whoever stops to listen closes the connection.
        """
        if refused := self.open():
            yield refused
            return
        try:
            positions = {
                self._used.search_ext(
                    one.base, SUBTREE, one.filter, list(one.attributes), serverctrls=list(one.controls)
                ): position
                for position, one in enumerate(searches)
            }
            while not self._closing.is_set():
                try:
                    kind, data, number, _, _, _ = self._used.result4(
                        ldap.RES_ANY, 0, POLL_SECONDS, add_intermediates=1, add_ctrls=1, resp_ctrl_classes=answers
                    )
                except ldap.TIMEOUT:
                    yield None
                    continue
                if kind == ldap.RES_SEARCH_RESULT:
                    yield Refused("search: the directory ended it", 0)
                    return
                infos = [(found[0], found[1]) for found in data or () if kind == ldap.RES_INTERMEDIATE]
                yield Heard(positions.get(number, 0), infos)
        except ldap.LDAPError as error:
            yield self._told(error, "search")

    def one(self, dn: str, attributes: Sequence[str], text: str = "(objectClass=*)") -> Raw | Refused | None:
        """Return the entry of this name; None: there is none, or it does not fit the filter."""
        for answer in self.search(dn, text, attributes, scope=BASE):
            if isinstance(answer, Refused):
                return None if answer.nothing_there else answer
            return answer[0]
        return None

    def several(
        self, dns: Sequence[str], text: str, attributes: Sequence[str], controls: Sequence[RequestControl] = ()
    ) -> Iterator[Raw | Refused | None]:
        """Yield for each name what `one` returns, all asked for before the first answer is awaited."""
        if refused := self.open():
            yield from [refused] * len(dns)
            return
        numbers: list[int | Refused] = []
        for dn in dns:
            try:
                numbers.append(self._used.search_ext(dn, BASE, text, list(attributes), serverctrls=list(controls)))
            except ldap.LDAPError as error:
                numbers.append(self._told(error, "search"))
                if self._connection is None:
                    numbers += [numbers[-1]] * (len(dns) - len(numbers))
                    break
        for number in numbers:
            if isinstance(number, Refused):
                yield number
                continue
            try:
                if self._connection is None:
                    raise ldap.SERVER_DOWN
                _, data, _, _, _, _ = self._result(number)
            except (ldap.NO_SUCH_OBJECT, ldap.INVALID_DN_SYNTAX):
                yield None
            except (ldap.LDAPError, _Stopped) as error:
                yield self._told(error, "search")
            else:
                yield next((Raw(dn, found) for dn, found in data or () if dn is not None), None)

    def stop(self) -> None:
        """Have whatever waits for an answer end soon; may be called from any thread."""
        self._closing.set()

    def close(self) -> None:
        """Sign out; nothing happens where nothing is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.unbind_s()
            except ldap.LDAPError:
                return

    @property
    def _used(self) -> SimpleLDAPObject:
        assert self._connection is not None
        return self._connection

    def _connected(self) -> SimpleLDAPObject:
        address = self._address
        connection = ldap.initialize(address.url)
        connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
        connection.set_option(ldap.OPT_REFERRALS, 0)
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, address.timeout_seconds)
        connection.set_option(ldap.OPT_TIMEOUT, address.timeout_seconds)
        for option, value in _KEEPALIVE:
            connection.set_option(option, value)
        if address.start_tls or address.url.startswith("ldaps:"):
            connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
            connection.set_option(ldap.OPT_X_TLS_PROTOCOL_MIN, _TLS_1_2)
            files = (
                (ldap.OPT_X_TLS_CACERTFILE, address.ca_file),
                (ldap.OPT_X_TLS_CERTFILE, address.client_cert),
                (ldap.OPT_X_TLS_KEYFILE, address.client_key or address.client_cert),
            )
            for option, path in files:
                if path is not None:
                    connection.set_option(option, str(path))
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # only now do the settings above count
        return connection

    def _sign_in(self, connection: SimpleLDAPObject) -> None:
        match self._bind:
            case SimpleBind(dn=dn, read_password=read):
                password = read()
                if not password:
                    raise ValueError("the password is empty, which a directory takes for nobody in particular")
                connection.simple_bind_s(dn, password)
            case SaslBind(mechanism=mechanism):
                means = ldap.sasl.external() if mechanism == "EXTERNAL" else ldap.sasl.gssapi()
                connection.sasl_interactive_bind_s("", means)
            case Anonymous():
                connection.simple_bind_s("", "")

    def _result(self, number: int, *, every: bool = True, **options: Any) -> Any:
        """Wait for an answer; stop waiting when the time is over, or when somebody closes us."""
        left = self._address.timeout_seconds
        while not self._closing.is_set():
            try:
                return self._used.result4(number, int(every), timeout=min(left, POLL_SECONDS), **options)
            except ldap.TIMEOUT:
                left -= POLL_SECONDS
                if left <= 0:
                    self._used.abandon(number)
                    raise
        raise _Stopped

    def _told(self, error: Exception, step: str) -> Refused:
        """Return what happened as a sentence; forget the connection where it is of no more use."""
        if not isinstance(error, ldap.LDAPError):
            self.close()
            text = f"{step}: {str(error) or 'it was stopped'}"
            return Refused(text, fault=self._fault(error, step, text))
        said = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
        code = said.get("result")
        if step != "search" or not isinstance(code, int) or code < 0:
            self.close()
        words = str(said.get("desc") or type(error).__name__)
        more = str(said.get("info") or "")
        if step == "bind" and "data " in more:
            more = _AD_SAYS.get(more.rpartition("data ")[2].split(",")[0].strip(" \0"), "")
        if isinstance(error, ldap.SERVER_DOWN | ldap.CONNECT_ERROR) and step != "search":
            more = self._why_no_connection()
        text = f"{step}: {words}" + (f" ({more})" if more else "")
        hint = self._hint(error, step, more)
        fault = self._fault(error, step, f"{text}; {hint}" if hint else text)
        return Refused(text, code if isinstance(code, int) and code >= 0 else None, hint, fault)

    def _fault(self, error: Exception, step: str, text: str) -> Failed | None:
        """Return what stands against the directory as a whole, None where it is just this search."""
        match error:
            case ldap.TIMEOUT() if step == "search":
                fault = Fault.INTERRUPTED
            case ldap.SERVER_DOWN() | ldap.CONNECT_ERROR() | ldap.TIMEOUT() | ldap.BUSY() | ldap.UNAVAILABLE():
                fault = Fault.UNREACHABLE
            case _ if step == "search":
                return None
            case _:
                fault = Fault.UNAUTHORIZED if step == "bind" else Fault.UNREACHABLE
        # libldap connects when it first has something to send
        what = "connect" if fault is Fault.UNREACHABLE else step
        return Failed(fault, text, request=f"{what} {self._address.url}")

    def _why_no_connection(self) -> str:
        address = self._address
        if not address.start_tls and not address.url.startswith("ldaps:"):
            return ""
        patience = min(address.timeout_seconds, _LOOK_SECONDS_MAX)
        return why_not(address.url, address.ca_file, start_tls=address.start_tls, timeout_seconds=patience)

    def _hint(self, error: Exception, step: str, more: str) -> str:
        host = urlsplit(self._address.url).hostname or unquote(self._address.url)
        if "certificate" in more:
            return f"does ca_file hold the authority of {host}'s certificate, and is the certificate for this name?"
        match error:
            case ldap.SERVER_DOWN() | ldap.TIMEOUT() | ldap.CONNECT_ERROR():
                return f"is {host} running, and can it be reached from here?"
            case ldap.STRONG_AUTH_REQUIRED():
                return "the directory wants a protected connection: ldaps://, or start_tls = true"
            case ldap.INVALID_CREDENTIALS():
                return "check bind"
            case ldap.SIZELIMIT_EXCEEDED():
                return "the directory gives this user so many entries and no more: ask for a higher limit"
            case ldap.INSUFFICIENT_ACCESS():
                return "ask for the right to read this"
            case _:
                return ""


class _Stopped(Exception):
    """Somebody closed the source while it waited."""
