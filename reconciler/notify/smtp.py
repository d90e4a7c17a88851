"""Hands a mail to an SMTP server, says clearly what stands against it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.policy import SMTP
from pathlib import Path
from typing import Literal

import aiosmtplib
import anyio

from reconciler.core.notices import Notice
from reconciler.errors import ConfigError
from reconciler.net.exchange import tls_context
from reconciler.notify.letters import Letters, Unaddressable, envelope_address
from reconciler.notify.wording import one_line
from reconciler.ports import InDoubt, NotTaken, Taken

QUIT_SECONDS = 2.0
_START_INPUT, _UNAVAILABLE, _TOO_LARGE = 354, 421, 552


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over, and how."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str | None = None
    read_password: Callable[[], str] | None = None
    """Returns the password as it is now; raises ConfigError."""
    ca_file: Path | None = None
    timeout_seconds: float = 30.0
    """For each step, and for the answer when the text was sent."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class _Stop(Exception):
    """The conversation ends here, with this outcome."""

    def __init__(self, outcome: NotTaken | InDoubt) -> None:
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class SmtpNotifier:
    """One connection for each mail: there are few."""

    server: MailServer
    letters: Letters

    async def hand_over(
        self, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Taken | NotTaken | InDoubt:
        """Hand it over; whatever goes wrong on the way comes back as a value."""
        talk = _Talk(self.server)
        try:
            await talk.connect()
            return await self._send(talk, notice, recipients, begin)
        except _Stop as stop:
            return stop.outcome
        except Unaddressable as error:  # of recipients it is asked before
            return NotTaken(f"[mail] from: {error}", of_server=True)
        finally:
            talk.close()

    async def _send(
        self, talk: _Talk, notice: Notice, recipients: Sequence[str], begin: Callable[[], Awaitable[None]]
    ) -> Taken | NotTaken:
        """Write the mail only now: what the server has said of itself decides on how addresses are written."""
        refused = {one: reason for one in recipients if (reason := talk.cannot_take(one)) is not None}
        reachable = [one for one in recipients if one not in refused]
        if not reachable:
            return _all_refused(refused)
        utf8 = not all(one.isascii() for one in map(envelope_address, (self.letters.sender, *reachable)))
        message = self.letters.write(notice, reachable, utf8=utf8)
        text = message.as_bytes(policy=message.policy if utf8 else SMTP)
        await talk.open_envelope(envelope_address(self.letters.sender), len(text), utf8=utf8)
        for one in reachable:
            reason = await talk.recipient(one, utf8=utf8)
            if reason is not None:
                refused[one] = reason
        if len(refused) == len(recipients):
            return _all_refused(refused)
        await talk.announce_text()
        await begin()
        answer = await talk.send_text(text)
        await talk.quit()
        return Taken(answer, refused)


class _Talk:
    """One conversation with the server. Each step raises _Stop where it is the last."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._password: str | None = None
        self._step = "connecting"

    async def connect(self) -> None:
        server = self._server
        try:
            context = None if server.security == "none" else tls_context(server.ca_file)
            self._password = server.read_password() if server.read_password is not None else None
        except ConfigError as error:
            raise _Stop(NotTaken(str(error), of_server=True)) from None
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.security == "tls",
            start_tls=False,
            tls_context=context,
            timeout=server.timeout_seconds,
            local_hostname=_own_name(),
        )
        with self._explained():
            await self._client.connect()
            self._step = "saying EHLO"
            await self._client.ehlo()
            if server.security == "starttls":
                await self._start_tls()
            if server.username is not None and self._password is not None:
                await self._sign_in(server.username, self._password)

    async def _start_tls(self) -> None:
        if not self._client.supports_extension("starttls"):
            hint = 'port 465 usually wants security = "tls"; "none" is for servers on this machine or network'
            raise _Stop(NotTaken(f"{self._server} does not offer STARTTLS ({hint})", of_server=True))
        self._step = "STARTTLS"
        await self._client.starttls()
        await self._client.ehlo()

    async def _sign_in(self, username: str, password: str) -> None:
        if not self._client.supported_auth_methods:
            problem = f"{self._server} offers no way to sign in that we know"
            hint = "leave out username and password, or protect the connection: many servers offer it only then"
            raise _Stop(NotTaken(f"{problem} ({hint})", of_server=True))
        self._step = "signing in"
        try:
            await self._client.login(username, password)
        except aiosmtplib.SMTPAuthenticationError as error:
            problem = f"{self._server} refuses username and password: {self._said(error.code, error.message)}"
            raise _Stop(NotTaken(problem, of_server=True)) from None

    def cannot_take(self, address: str) -> NotTaken | None:
        """Return why an address cannot even be asked for; None where it can."""
        try:
            known = envelope_address(address)
        except Unaddressable as error:
            return NotTaken(str(error), lasting=True)
        if known.isascii() or self._client.supports_extension("smtputf8"):
            return None
        return NotTaken(f"{address}: {self._server} takes addresses in ASCII only (no SMTPUTF8)", lasting=True)

    async def open_envelope(self, sender: str, size: int, *, utf8: bool) -> None:
        if not sender.isascii() and not self._client.supports_extension("smtputf8"):
            raise _Stop(NotTaken(f"{self._server} takes no sender with other than ASCII letters", of_server=True))
        limit = self._client.esmtp_extensions.get("size", "")
        if limit.isdigit() and 0 < int(limit) < size:
            raise _Stop(NotTaken(f"the mail has {size:,} bytes, {self._server} takes {int(limit):,}", lasting=True))
        options = ["SMTPUTF8"] if utf8 else []
        options += [f"SIZE={size}"] if self._client.supports_extension("size") else []
        self._step = "naming the sender"
        with self._explained():
            try:
                await self._client.mail(sender, options=options, encoding="utf-8" if utf8 else "ascii")
            except aiosmtplib.SMTPSenderRefused as error:
                said = self._said(error.code, error.message)
                if error.code == _TOO_LARGE:
                    raise _Stop(NotTaken(f"the mail is too large for {self._server}: {said}", lasting=True)) from None
                raise _Stop(NotTaken(f"{self._server} refuses the sender {sender}: {said}", of_server=True)) from None

    async def recipient(self, address: str, *, utf8: bool) -> NotTaken | None:
        """Ask for one recipient; return why it is refused, None where it is taken."""
        self._step = "naming a recipient"
        with self._explained():
            try:
                await self._client.rcpt(envelope_address(address), encoding="utf-8" if utf8 else "ascii")
            except aiosmtplib.SMTPRecipientRefused as error:
                if error.code == _UNAVAILABLE:
                    raise
                problem = f"{self._server} refuses {address}: {self._said(error.code, error.message)}"
                return NotTaken(problem, lasting=error.code >= 500)
        return None

    async def announce_text(self) -> None:
        """Ask whether the text may come. Until here nothing can have been taken."""
        self._step = "announcing the text"
        with self._explained():
            answer = await self._client.execute_command(b"DATA")
        if answer.code != _START_INPUT:
            raise _Stop(self._text_refused(answer.code, answer.message))

    async def send_text(self, text: bytes) -> str:
        """Send the text; return what the server says when it has taken it."""
        self._step = "sending the text"
        protocol = self._client.protocol
        with self._explained():
            if protocol is None:
                raise aiosmtplib.SMTPServerDisconnected("Connection lost")
            protocol.write(re.sub(rb"(?m)^\.", b"..", text) + b".\r\n")
            try:
                answer = await protocol.read_response(timeout=self._server.timeout_seconds)
            except aiosmtplib.SMTPReadTimeoutError:
                seconds = f"{self._server.timeout_seconds:g} s"
                raise _Stop(InDoubt(f"{self._server} did not say within {seconds} whether it took the mail")) from None
        if not 200 <= answer.code < 300:
            raise _Stop(self._text_refused(answer.code, answer.message))
        return self._said(answer.code, answer.message)

    async def quit(self) -> None:
        """Take leave; the mail is theirs, however that goes."""
        with suppress(aiosmtplib.SMTPException, OSError), anyio.move_on_after(QUIT_SECONDS):
            await self._client.quit()

    def close(self) -> None:
        client: aiosmtplib.SMTP | None = getattr(self, "_client", None)
        if client is not None:
            client.close()

    def _text_refused(self, code: int, words: str) -> NotTaken:
        what = "the mail is too large for it" if code == _TOO_LARGE else "it refuses the mail"
        return NotTaken(f"{self._server}: {what}: {self._said(code, words)}", lasting=code >= 500)

    def _said(self, code: int, words: str) -> str:
        """Return the server's words on one line, without the password, should it have repeated that."""
        line = one_line(f"{code} {words}" if code > 0 else words)
        return line.replace(self._password, "***") if self._password else line

    def _explained(self) -> _Explained:
        return _Explained(self._problem)

    def _problem(self, error: Exception) -> str:
        server, seconds = self._server, self._server.timeout_seconds
        cause = error if isinstance(error, OSError) and error.__cause__ is None else error.__cause__
        match cause:
            case socket.gaierror():
                return f"the name {server.host} was not found (DNS): check host in [mail]"
            case ConnectionRefusedError():
                return f"{server} refuses connections: nothing listens there"
            case ssl.SSLCertVerificationError():
                words = cause.verify_message or "not trusted"
                return f"the certificate of {server} is not trusted ({words}): for an authority of your own set ca_file"
            case ssl.SSLError():
                hint = 'port 587 and 25 usually want security = "starttls", 465 wants "tls"'
                return f"{server} does not speak TLS as expected ({hint})"
            case _:
                pass
        match error:
            case aiosmtplib.SMTPTimeoutError() | TimeoutError():
                return f"{server} did not answer within {seconds:g} s while {self._step}"
            case aiosmtplib.SMTPResponseException():
                return f"{server} refused while {self._step}: {self._said(error.code, error.message)}"
            case aiosmtplib.SMTPServerDisconnected():
                return f"{server} closed the connection while {self._step}"
            case UnicodeError():
                return f"{server.host} is no host name: check host in [mail]"
            case _:
                words = (cause.strerror if isinstance(cause, OSError) else None) or type(error).__name__
                return f"no mail could be handed to {server} while {self._step}: {words}"


class _Explained:
    """Turns what the library raises into an outcome: nothing was taken, and every other mail would fare the same."""

    def __init__(self, problem: Callable[[Exception], str]) -> None:
        self._problem = problem

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, aiosmtplib.SMTPException | OSError | UnicodeError):
            raise _Stop(NotTaken(self._problem(error), of_server=True)) from None


def _all_refused(refused: Mapping[str, NotTaken]) -> NotTaken:
    lasting = all(reason.lasting for reason in refused.values())
    return NotTaken("; ".join(reason.problem for reason in refused.values()), lasting=lasting)


def _own_name() -> str:
    """Return this machine's name, as EHLO wants it: without asking DNS, which may take long."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) else "localhost"
