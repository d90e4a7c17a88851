"""Speaks LDAP through libldap: one connection, used from one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import ldap
import ldap.sasl
from ldap.controls import RequestControl
from ldap.controls.libldap import SimplePagedResultsControl
from ldap.ldapobject import SimpleLDAPObject

from reconciler.errors import ConfigError
from reconciler.sources.ldap_answers import FAILURES, POLL_SECONDS, Answers, Pages
from reconciler.sources.ldap_opening import broken_off, let_reads_end
from reconciler.sources.ldap_refusals import Address, Refused, code_of, points_elsewhere, refusal

_TLS_1_2 = 0x303
_OF_GNUTLS = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
_KEEPALIVE = ((ldap.OPT_X_KEEPALIVE_IDLE, 60), (ldap.OPT_X_KEEPALIVE_INTERVAL, 10), (ldap.OPT_X_KEEPALIVE_PROBES, 3))
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
    entries: Sequence[Raw] = ()


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

    def __init__(self, address: Address, bind: Bind, *, passes_over_references: bool = False) -> None:
        """`passes_over_references`: what another server has is none of ours, as between the domains of a forest."""
        self._address, self._bind = address, bind
        self._passes_over_references = passes_over_references
        self._connection: SimpleLDAPObject | None = None
        self._password = ""
        self._closing = threading.Event()
        self.proves: Callable[[], Refused | None] | None = None
        """Asked of each new connection before anything else is: whether it leads where it has to."""

    def open(self) -> Refused | None:
        """Connect, protect the way, and sign in; nothing where that is done already."""
        if self._connection is not None:
            return None
        step = "TLS" if self._address.start_tls else "connect"
        # once for the way there, once for the answer to the bind
        patience = 2 * self._address.timeout_seconds
        try:
            connection = self._connected()
            with broken_off(patience, self._address.port, self._closing):
                if self._address.start_tls:
                    connection.start_tls_s()
                step = "bind"
                self._sign_in(connection)
            let_reads_end(connection)
        except (ldap.LDAPError, OSError, ValueError, ConfigError) as error:
            return self._told(error, step)
        self._connection = connection
        return self._proved()

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
        pages, elsewhere = Pages(), list[str]()
        while True:
            if refused := self.open():
                yield refused
                return
            asked = [*controls, paged] if paged is not None else list(controls)
            at_end: Sequence[Any] = ()
            try:
                number = self._used.search_ext(base, scope, text, list(attributes) or None, serverctrls=asked)
                for found, controls_there in self._answers.parts(number):
                    at_end = controls_there
                    elsewhere = elsewhere or [url for dn, urls in found if dn is None for url in urls]
                    if entries := [Raw(dn, values) for dn, values in found if dn is not None]:
                        pages.take([raw.dn for raw in entries])
                        yield entries
                cookies = [c.cookie for c in at_end if c.controlType == SimplePagedResultsControl.controlType]
                if paged is None or not cookies or not cookies[0]:
                    break
                pages.turn()
            except FAILURES as error:
                yield self._told(error, "search")
                return
            paged.cookie = cookies[0]
        if elsewhere and not self._passes_over_references:
            yield points_elsewhere(elsewhere, self._address, self._password)

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
            _, data, _, controls_of_end, _, _ = self._answers.wait(number, resp_ctrl_classes=answers)
        except FAILURES as error:
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
                kind, data, _, controls_of_end, _, _ = self._answers.wait(
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
                    elif kind == ldap.RES_SEARCH_REFERENCE and not self._passes_over_references:
                        yield points_elsewhere(found[1], self._address, self._password)
                        return
        except FAILURES as error:
            number = None
            yield self._told(error, "search")
        finally:
            if number is not None and self._connection is not None:
                self._connection.abandon(number)

    def follow(
        self, searches: Sequence[Search], answers: Mapping[str, type[Any]], *, taken: bool = False
    ) -> Iterator[Heard | Refused | None]:
        """Yield what searches that never end answer, as it comes; None where nothing came for a moment.

        A Refused is the last thing. Whoever stops to listen closes the connection. With `taken` nothing is yielded
        before the directory has answered what was asked after the searches: it has taken them by then.
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
            if taken:
                asked = self._used.search_ext("", BASE, "(objectClass=*)", ["1.1"])
                self._answers.wait(asked)
            while not self._closing.is_set():
                try:
                    kind, data, number, _, _, _ = self._used.result4(
                        ldap.RES_ANY, 0, POLL_SECONDS, add_intermediates=1, add_ctrls=1, resp_ctrl_classes=answers
                    )
                except ldap.TIMEOUT:
                    yield None
                    continue
                if kind == ldap.RES_SEARCH_RESULT:
                    yield Refused(f"search {self._address.url}: the directory ended it", 0)
                    return
                infos = [(found[0], found[1]) for found in data or () if kind == ldap.RES_INTERMEDIATE]
                entries = [Raw(*found) for found in data or () if kind == ldap.RES_SEARCH_ENTRY]
                yield Heard(positions.get(number, 0), infos, entries)
        except FAILURES as error:
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
                _, data, _, _, _, _ = self._answers.wait(number)
            except (ldap.NO_SUCH_OBJECT, ldap.INVALID_DN_SYNTAX):
                yield None
            except FAILURES as error:
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

    @property
    def _answers(self) -> Answers:
        return Answers(self._used, self._address.timeout_seconds, self._closing)

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
            if ldap.get_option(ldap.OPT_X_TLS_PACKAGE) == "GnuTLS":
                connection.set_option(ldap.OPT_X_TLS_CIPHER_SUITE, _OF_GNUTLS)  # it does not know the line above
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

    def _proved(self) -> Refused | None:
        proves, self.proves = self.proves, None  # it asks on this connection
        refused = proves() if proves is not None else None
        self.proves = proves
        if refused is not None:
            self.close()
        return refused

    def _sign_in(self, connection: SimpleLDAPObject) -> None:
        match self._bind:
            case SimpleBind(dn=dn, read_password=read):
                password = read()
                if not password:
                    raise ValueError("the password is empty, which a directory takes for nobody in particular")
                self._password = password
                connection.simple_bind_s(dn, password)
            case SaslBind(mechanism=mechanism):
                means = ldap.sasl.external() if mechanism == "EXTERNAL" else ldap.sasl.gssapi()
                connection.sasl_interactive_bind_s("", means)
            case Anonymous():
                connection.simple_bind_s("", "")

    def _told(self, error: Exception, step: str) -> Refused:
        """Return what happened as a sentence; forget the connection where it is of no more use."""
        if step != "search" or code_of(error) is None:
            self.close()
        return refusal(error, step, self._address, self._password)
