"""Makes a mail of a notice: text and HTML, in words that somebody can act on at night."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from jinja2.environment import TemplateModule
from markupsafe import Markup

from reconciler import logs
from reconciler.core.notices import Notice, NoticeKind
from reconciler.notify.wording import FILTERS, clean, one_line, squeeze

TITLES: Mapping[NoticeKind, str] = {
    NoticeKind.QUARANTINE_ENTERED: "the job went into quarantine",
    NoticeKind.QUARANTINE_CHANGED: "the job is in quarantine for another reason",
    NoticeKind.QUARANTINE_REMINDER: "the job is still in quarantine",
    NoticeKind.QUARANTINE_LEFT: "the job has left quarantine",
    NoticeKind.JOB_STOPPED: "the job was stopped after a long quarantine",
    NoticeKind.HELD: "operations are held back and wait for a word",
    NoticeKind.FAILURES: "many entries failed",
    NoticeKind.NO_CYCLE: "no cycle has finished for long",
    NoticeKind.WATERMARK_OLD: "the source's changes are not taken over",
    NoticeKind.ABSENCE_NOT_JUDGED: "leavers may go unnoticed, the source is not read whole",
    NoticeKind.GROUPS_MISSING: "the source lacks groups that the rules name",
    NoticeKind.NOT_OFF: "people should be switched off and are not",
    NoticeKind.CREDENTIAL_EXPIRING: "a credential ends soon, or has ended",
    NoticeKind.DOUBTFUL: "a mail may not have arrived",
    NoticeKind.TEST: "a test mail",
}


class Unaddressable(ValueError):
    """An address that no mail server could be told."""


@dataclass(frozen=True, slots=True)
class Letters:
    """Writes mails for one configuration."""

    sender: str
    config: str = ""
    """The path of the configuration, for the commands."""
    host: str = ""
    version: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    """Job → between what it goes, in a sentence."""

    def write(self, notice: Notice, recipients: Sequence[str], *, utf8: bool = False) -> EmailMessage:
        """Return the mail. `utf8`: the server takes addresses in every script (SMTPUTF8, RFC 6531).

        Date and Message-ID are those of the notice: however often it is sent, it is the same mail.
        """
        subject, text, html = self.words(notice)
        message = EmailMessage(policy=SMTPUTF8 if utf8 else SMTP)
        message["From"] = _address(self.sender, "reconciler")
        message["To"] = [_address(one) for one in recipients]
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(notice.at, UTC))
        message["Message-ID"] = self._message_id(notice)
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(text, cte="quoted-printable")
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return message

    def words(self, notice: Notice) -> tuple[str, str, str]:
        """Return subject, text and HTML. A notice whose facts do not suit its template is written plainly."""
        try:
            return self._words(notice, f"{notice.kind}.j2", _facts(notice))
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            logs.get().warning("mail.written_plainly", job=notice.job, kind=notice.kind, problem=type(error).__name__)
            pairs = [(name.replace("_", " "), one_line(str(value))) for name, value in clean(notice.facts).items()]
            return self._words(notice, "plain.j2", {"title": TITLES[notice.kind], "facts": pairs})

    def _words(self, notice: Notice, template: str, facts: Mapping[str, Any]) -> tuple[str, str, str]:
        text_body = self._body(_text(), template, notice, facts)
        html_body = self._body(_html(), template, notice, facts)
        # what a template sets is an attribute of its module, which mypy cannot know
        subject = one_line(str(text_body.subject))  # type: ignore[attr-defined]
        frame = {
            "kind": notice.kind,
            "place": self.places.get(notice.job, ""),
            "sent_by": f"Sent by reconciler {self.version} on {self.host}, {self.config}.",
            "why_you": "You get it because notify of the job, or to in [mail], names you.",
            "subject": subject,
        }
        text = _text().get_template("frame.txt").render(**frame, body=squeeze(str(text_body)))
        html = _html().get_template("frame.html").render(**frame, body=Markup(squeeze(str(html_body))))  # noqa: S704  # because the template has escaped it
        return subject, squeeze(text), html

    def _body(
        self, environment: Environment, template: str, notice: Notice, facts: Mapping[str, Any]
    ) -> TemplateModule:
        said = {"job": one_line(notice.job), "at": notice.at, "cli": self._command(), **facts}
        return environment.get_template(template).make_module(said)

    def _command(self) -> Callable[..., str]:
        def command(*arguments: str) -> str:
            words = ["reconciler", *arguments, *(("-c", self.config) if self.config else ())]
            return shlex.join(map(str, words))

        return command

    def _message_id(self, notice: Notice) -> str:
        digest = hashlib.sha256(f"{notice.key}\n{notice.at}".encode("utf-8", "replace")).hexdigest()[:32]
        return f"<{digest}@{ascii_domain(self.sender)}>"


def envelope_address(address: str) -> str:
    """Return the address as it is said to a mail server: the domain in ASCII. Raises Unaddressable."""
    local, _, _ = address.rpartition("@")
    return f"{local}@{ascii_domain(address)}"


def ascii_domain(address: str) -> str:
    """Return the domain of an address in ASCII (IDNA); raises Unaddressable."""
    local, _, domain = address.rpartition("@")
    if not local or not re.fullmatch(r"[^\s\x00-\x1f\x7f<>\"(),:;\\\[\]@]+", local):
        raise Unaddressable(f"{one_line(address)} is no mail address")
    try:
        known = domain.encode("idna").decode("ascii")
    except UnicodeError:
        known = ""
    if not re.fullmatch(r"[A-Za-z0-9.-]+", known):
        raise Unaddressable(f"{one_line(address)}: what follows the @ is no domain")
    return known


def _address(address: str, name: str = "") -> Address:
    local, _, _ = address.rpartition("@")
    return Address(name, local, ascii_domain(address))


def _facts(notice: Notice) -> dict[str, Any]:
    facts: dict[str, Any] = clean(notice.facts)
    if notice.kind is NoticeKind.DOUBTFUL:
        about = facts["kind"]
        facts |= {"about": about, "title": TITLES.get(about, about)}
    return facts


@lru_cache(maxsize=1)
def _text() -> Environment:
    return _environment("parts.txt", autoescape=False)


@lru_cache(maxsize=1)
def _html() -> Environment:
    return _environment("parts.html", autoescape=True)


def _environment(parts: str, *, autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("reconciler.notify"),
        autoescape=autoescape,  # noqa: S701  # because the other one makes plain text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    environment.filters.update(FILTERS)
    environment.globals["parts"] = parts
    return environment
