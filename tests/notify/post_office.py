"""A real SMTP server (aiosmtpd) on a port of this machine, which takes, refuses or delays as a test says."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USERNAME, PASSWORD = "reconciler", "s3cret-with-ümlaut"


@dataclass
class PostOffice:
    """What was taken, and what is answered. It is the handler of the server."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    secured: list[bool] = field(default_factory=list)
    signed_in: list[bool] = field(default_factory=list)
    recipient_answers: dict[str, str] = field(default_factory=dict)
    """Address → what RCPT is answered."""
    sender_answer: str = ""
    text_answers: list[str] = field(default_factory=list)
    """What the next texts are answered; they are not taken then."""
    holding: asyncio.Event | None = None
    """The answer to a text that was taken waits until this is set."""
    text_came: asyncio.Event = field(default_factory=asyncio.Event)
    asking: asyncio.Event | None = None
    """The answer to a recipient waits until this is set."""
    recipient_came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def taken(self) -> int:
        return len(self.mails)

    async def handle_MAIL(  # noqa: N802  # because aiosmtpd asks for this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  # because aiosmtpd asks for this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.recipient_came.set()
        if self.asking is not None:
            await self.asking.wait()
        answer = self.recipient_answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802  # because aiosmtpd asks for this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.text_answers:
            return self.text_answers.pop(0)
        assert isinstance(envelope.original_content, bytes)
        self.raw.append(envelope.original_content)
        mail = message_from_bytes(envelope.original_content, EmailMessage, policy=SMTPUTF8)
        self.mails.append(mail)
        self.envelopes.append((envelope.mail_from or "", tuple(envelope.rcpt_tos)))
        assert server.transport is not None
        self.secured.append(server.transport.get_extra_info("sslcontext") is not None)
        self.signed_in.append(session.authenticated is True)
        self.text_came.set()
        if self.holding is not None:
            await self.holding.wait()
        return "250 2.0.0 queued as 7F3A"


@asynccontextmanager
async def open_office(
    security: Literal["starttls", "tls", "none"] = "none",
    certificate: tuple[Path, Path] | None = None,
    *,
    authentication: bool = False,
    port: int = 0,
    **options: Any,
) -> AsyncIterator[PostOffice]:
    """Open a post office; at the end its port refuses connections."""
    office = PostOffice()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    loop = asyncio.get_running_loop()
    connections: list[SMTP] = []

    def talk() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # signing in over an unprotected connection is a case of its own
            made = SMTP(
                office,
                hostname="mail.example.com",
                tls_context=context if security == "starttls" else None,
                require_starttls=security == "starttls",
                auth_required=authentication,
                auth_require_tls=security == "starttls",
                authenticator=_authenticator if authentication else None,
                loop=loop,
                **options,
            )
        connections.append(made)
        return made

    server = await loop.create_server(talk, "127.0.0.1", port, ssl=context if security == "tls" else None)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.close()
        await server.wait_closed()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a self-made certificate for 127.0.0.1, and its key."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def _authenticator(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)
