"""Says in a sentence what a directory refused, who it was, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import ldap

from reconciler.core.outcomes import Failed, Fault
from reconciler.sources.ldap_answers import Endless, Stopped
from reconciler.sources.ldap_tls import NOT_AGREED, unusable, why_not

_LOOK_SECONDS_MAX = 5.0
_SAID_LENGTH_MAX = 500
_REFERRAL = 10
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
_HINT_ELSEWHERE = "name that server in url, as a source of its own, or choose bases below which nothing is elsewhere"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a directory is, and how the way there is protected."""

    url: str
    start_tls: bool = False
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    timeout_seconds: float = 30.0

    @property
    def port(self) -> int:
        """Return the port; 0 on a Unix socket."""
        parts = urlsplit(self.url)
        usual = {"ldap": 389, "ldaps": 636}.get(parts.scheme, 0)
        return (parts.port or usual) if usual else 0


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


def refusal(error: Exception, step: str, address: Address, password: str) -> Refused:
    """Return what happened at a step; the password is not shown, whatever the directory repeats."""
    if not isinstance(error, ldap.LDAPError):
        broken = step == "search" and not isinstance(error, Endless | Stopped)
        said = "the answer cannot be read" if broken else str(error) or "it was stopped"
        if isinstance(error, ValueError) and step != "search":  # libldap's "option error"
            said = unusable(address.ca_file, address.client_cert, address.client_key) or said
        text = f"{step} {address.url}: {said}"
        return Refused(text, fault=_fault(error, step, text, address))
    told = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
    words, more = str(told.get("desc") or type(error).__name__), _printable(str(told.get("info") or ""), password)
    if isinstance(error, ldap.TIMEOUT):
        words = f"no answer within {address.timeout_seconds:g} s"
    if step == "bind" and "data " in more:
        more = _AD_SAYS.get(more.rpartition("data ")[2].split(",")[0].strip(), "")
    if isinstance(error, ldap.SERVER_DOWN | ldap.CONNECT_ERROR) and step != "search":
        more = _why_no_connection(address)
    text = f"{step} {address.url}: {words}" + (f" ({more})" if more else "")
    hint = _hint(error, more, address)
    fault = _fault(error, step, f"{text}; {hint}" if hint else text, address)
    return Refused(text, code_of(error), hint, fault)


def points_elsewhere(urls: Sequence[str], address: Address, password: str) -> Refused:
    """Return that a part of what was searched for is at another server."""
    where = _printable(urls[0], password) if urls else "another server"
    why = f"search {address.url}: for a part of it the directory refers to {where}, where we do not go"
    return Refused(why, _REFERRAL, _HINT_ELSEWHERE)


def code_of(error: Exception) -> int | None:
    """Return the LDAP result code that a directory answered; None where it answered none."""
    told = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
    code = told.get("result")
    return code if isinstance(code, int) and code >= 0 else None


def _printable(said: str, password: str) -> str:
    """Return what a directory says so that it can be shown: without our password, on one line, of some length."""
    if password:
        said = said.replace(password, "***")
    return "".join(one if one.isprintable() else " " for one in said[:_SAID_LENGTH_MAX]).strip()


def _fault(error: Exception, step: str, text: str, address: Address) -> Failed | None:
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
    return Failed(fault, text, request=f"{what} {address.url}")


def _why_no_connection(address: Address) -> str:
    if not address.start_tls and not address.url.startswith("ldaps:"):
        return ""
    patience = min(address.timeout_seconds, _LOOK_SECONDS_MAX)
    return why_not(address.url, address.ca_file, start_tls=address.start_tls, timeout_seconds=patience)


def _hint(error: Exception, more: str, address: Address) -> str:
    host = urlsplit(address.url).hostname or unquote(address.url)
    if "certificate" in more:
        return f"does ca_file hold the authority of {host}'s certificate, and is the certificate for this name?"
    if more.startswith(NOT_AGREED):
        return f"does {host} speak TLS on port {address.port}? ldaps:// usually has port 636, StartTLS 389"
    match error:
        case ldap.SERVER_DOWN() | ldap.TIMEOUT() | ldap.CONNECT_ERROR():
            return f"is {host} running, and can it be reached from here?"
        case ldap.STRONG_AUTH_REQUIRED():
            return "the directory wants a protected connection: ldaps://, or start_tls = true"
        case ldap.INVALID_CREDENTIALS():
            return "check bind"
        case ldap.SIZELIMIT_EXCEEDED():
            return "the directory gives this user so many entries and no more: ask for a higher limit"
        case ldap.REFERRAL():
            return _HINT_ELSEWHERE
        case ldap.INSUFFICIENT_ACCESS():
            return "ask for the right to read this"
        case _:
            return ""
