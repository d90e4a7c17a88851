"""The words of the mails: each kind, with everything that it may say and without; nothing of it can do harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import cli
from reconciler.core import notices
from reconciler.core.notices import FailedEntry, HeldEntry, Notice, NoticeKind, StillOn
from reconciler.core.standing import Quarantine, QuarantineReason
from reconciler.notify import letters
from reconciler.notify.letters import TITLES, Letters
from reconciler.notify.wording import clean, counted, interval, moment, nth, one_line, span, times

ROOT = Path(__file__).parents[2]
AT = 1_750_000_000.0
HOUR, DAY = 3600.0, 86400.0
LETTERS = Letters(
    "provisioning@example.com",
    config="/etc/reconciler/my config.toml",
    host="idm1",
    version="1.0",
    places={"app": "The job app goes from the source staff to the target phone (https://phone.example/scim)."},
)


def quarantine(
    reason: QuarantineReason = QuarantineReason.EXCEPTION, code: str = "Unauthorized", **more: Any
) -> Quarantine:
    facts = {
        "reason": reason,
        "error_code": code,
        "rule": "the target refuses the credentials",
        "arithmetic": "",
        "began": AT - HOUR,
        "series_began": AT - 3 * DAY,
        "series_count": 4,
        "next_attempt": AT + 6 * HOUR,
        **more,
    }
    return Quarantine(**facts)


COUNTED = quarantine(
    QuarantineReason.TOTAL_ESCROW,
    "",
    rule="too many operations fail",
    arithmetic="612 failed > 500 allowed",
    request="POST /Users",
    answer="400 the licence is full",
    series_count=0,
    series_began=AT - HOUR,
)
QUARANTINES = [
    COUNTED,
    *(
        quarantine(code=code)
        for code in (
            "Unauthorized",
            "InsufficientRights",
            "WebExceptionProtocolError",
            "Timeout",
            "SystemForCrossDomainIdentityManagementServiceIncompatible",
            "InternalServerError",
            "",
        )
    ),
    *(
        quarantine(code=code, source="staff", rule="the source staff is out of reach")
        for code in ("Unauthorized", "InsufficientRights", "InvalidAnchor", "Timeout", "InternalServerError")
    ),
]
LEAVER = HeldEntry("user", "u1", "ann@example.com", "disable", "gone from the source")
LOST = FailedEntry("user", "u1", "ann@example.com", "create", "EntryConflict", "409 userName is taken")


def every_notice() -> Iterator[Notice]:
    for one in QUARANTINES:
        for tested, stop in ((None, None), (2400.0, 28 * DAY)):
            limits: dict[str, Any] = {"tested_every_seconds": tested, "stop_after_seconds": stop}
            yield notices.quarantine_entered("app", AT, one, **limits)
            yield notices.quarantine_changed("app", AT, one, before=COUNTED, **limits)
            yield notices.quarantine_reminder("app", AT, one, **limits)
        yield notices.quarantine_left("app", AT, one, how="a cycle succeeded")
        yield notices.job_stopped("app", AT, one, stop_after_seconds=28 * DAY)
    for operations in ([], [LEAVER], [LEAVER, replace(LEAVER, operation="delete", id="ann@example.com")] * 30):
        yield notices.held("app", AT, hold_id="7", since=AT - 5, arithmetic="12 > 5", operations=operations, total=1)
        yield notices.held("app", AT, hold_id="7", since=AT - DAY, arithmetic="12 > 5", operations=operations, total=99)
    for entries in ([], [LOST] * 30):
        for running in (1, 2):
            yield notices.failures(
                *("app", AT),
                cycle_id="c1",
                rule="at least 10 entries failed in two cycles running",
                failed=len(entries) or 1,
                judged=50,
                cycles_running=running,
                codes={"EntryConflict": 28, "Timeout": 2} if entries else {},
                entries=entries,
            )
    for last in (None, AT - 2 * HOUR):
        for running_since in (None, AT - HOUR):
            yield notices.no_cycle(
                "app", AT, interval_seconds=2400.0, last_finished_at=last, running_since=running_since
            )
        yield notices.no_cycle(
            *("app", AT), interval_seconds=60.0, last_finished_at=last, next_due_at=AT + 60, problem="the disk is full"
        )
        yield notices.watermark_old("app", AT, interval_seconds=2400.0, watermark_at=last)
        yield notices.watermark_old("app", AT, interval_seconds=2400.0, watermark_at=last, problems=["page 3: 500"])
        for problems in ([], ["users.csv line 17: no id"], ["users.csv line 17: no id"] * 40):
            yield notices.absence_not_judged("app", AT, cycles_running=2, last_judged_at=last, problems=problems)
    for groups in (["Crew"], ["<b>Crew</b>", "O'Neil's"], [f"Crew {n}" for n in range(40)]):
        yield notices.groups_missing("app", AT, groups=groups)
    for people in ([], [StillOn("u1", "ann", "held by a safeguard", AT - 2 * DAY)] * 30):
        yield notices.not_off("app", AT, people=people)
        yield notices.not_off("app", AT, people=people, total=1)
    for left in (-3, -1, 0, 1, 14):
        yield notices.credential_expiring("app", AT, target="phone", expires=date(2026, 8, 1), days_left=left)
    yield notices.doubtful(notices.quarantine_entered("app", AT, COUNTED), AT)
    yield notices.trial("app", AT)
    yield notices.trial("", AT)


EVERY = list(every_notice())


class Markup(HTMLParser):
    """Whether tags are closed in the order that they were opened; and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.balanced, self.text = True, ""
        self.feed(html)
        self.balanced = self.balanced and not self._open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "hr", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.balanced = self.balanced and bool(self._open) and self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_every_kind_is_written_here() -> None:
    assert {notice.kind for notice in EVERY} == set(NoticeKind) == set(TITLES)


@pytest.mark.parametrize("notice", EVERY, ids=lambda notice: notice.kind)
def test_every_mail_says_what_to_do_and_what_happens_by_itself(notice: Notice) -> None:
    subject, text, html = LETTERS._words(notice, f"{notice.kind}.j2", letters._facts(notice))
    assert subject.startswith("app: ") or not notice.job
    assert len(subject) < 100
    assert "What to do now\n----" in text
    assert "If nobody does anything\n----" in text or notice.kind is NoticeKind.QUARANTINE_LEFT
    assert f"Read more: docs/mails/{notice.kind}.md" in text
    assert "None" not in text
    assert "{" not in text
    assert "  " not in re.sub(r"(?m)^ +", "", text), "a word is missing, or a space too many"
    assert not re.search(r"[a-z]\.[A-Z]", text), "two sentences without a space between"
    assert not re.search(r"\(\)|: \.|, \.| ,", text)
    assert all(len(line) <= 78 or "reconciler" in line for line in text.splitlines())
    shown = Markup(html)
    assert shown.balanced
    said = {word for word in re.findall(r"[\w@./-]{3,}", text) if not word.startswith("--")}
    missing = said - set(re.findall(r"[\w@./-]{3,}", shown.text))
    assert not missing, "the HTML says what the text says"


@pytest.mark.parametrize("notice", EVERY, ids=lambda notice: notice.kind)
def test_every_command_in_a_mail_can_be_typed(notice: Notice) -> None:
    _, text, _ = LETTERS.words(notice)
    for command in re.findall(r"(?m)^    (reconciler .*)$", text):
        name, *rest = command.removesuffix(" -c '/etc/reconciler/my config.toml'").split()[1:]
        assert command.endswith(" -c '/etc/reconciler/my config.toml'")
        found = cli.cli.get_command(click.Context(cli.cli), name)
        assert found is not None, name
        known = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known or found.hidden


@pytest.mark.parametrize("kind", NoticeKind)
def test_every_mail_has_its_page(kind: NoticeKind) -> None:
    page = (ROOT / "docs" / "mails" / f"{kind}.md").read_text()
    assert page.startswith("# ")
    for heading in ("## What it means", "## What to look at", "## What to do", "## How it stops"):
        assert heading in page
    assert f"({kind}.md)" in (ROOT / "docs" / "mails" / "README.md").read_text()


def test_no_page_is_left_over() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "mails").glob("*.md")}
    assert pages == {*NoticeKind, "README"}


def test_a_notice_of_an_older_version_is_written_plainly_rather_than_lost() -> None:
    old = Notice(NoticeKind.HELD, "app", AT, "k", {"held": 12, "evil": "<b>\r\nBcc: eve@evil.example"})
    subject, text, html = LETTERS.words(old)
    assert subject == "app: operations are held back and wait for a word"
    assert "  held: 12\n" in text
    assert "<b>" not in html


def test_a_mail_is_the_whole_story_of_a_quarantine() -> None:
    one = quarantine(request="GET /Users", answer="401 token expired", arithmetic="", series_began=AT - HOUR)
    subject, text, _ = LETTERS.words(notices.quarantine_entered("app", AT, one, tested_every_seconds=2400.0))
    assert subject == "app: in quarantine, the app refuses the credentials"
    for said in (
        "First failing request: GET /Users",
        "Its answer: 401 token expired",
        "Since: 2025-06-15 14:06 UTC (1 hour)",
        "The job is tried again 2025-06-15 21:06 UTC",
        "reconciler test app -c '/etc/reconciler/my config.toml'",
        "the target phone (https://phone.example/scim)",
        "Sent by reconciler 1.0 on idm1",
        "connection is tested every 40 minutes",
    ):
        assert said in " ".join(text.split())


@pytest.mark.parametrize(
    ("code", "words", "advice"),
    [
        ("Unauthorized", "the source staff refuses the credentials", "put a new password or token where the table"),
        ("InsufficientRights", "the source staff denies the right to read it", "the right to read"),
        ("WebExceptionProtocolError", "the source staff cannot be reached", "whether this machine reaches it"),
        ("InternalServerError", "the source staff cannot be reached", "Look whether the source is up"),
        ("InvalidAnchor", "the source staff does not answer as it should", "Mend url in the table [sources.staff]"),
    ],
)
def test_a_mail_names_the_source_where_it_is_the_source_that_fails(code: str, words: str, advice: str) -> None:
    one = quarantine(code=code, source="staff", rule=words)
    subject, text, _ = LETTERS.words(notices.quarantine_entered("app", AT, one, tested_every_seconds=2400.0))
    assert subject == f"app: in quarantine, {words}"
    assert advice in " ".join(text.split())
    assert "nobody is created, changed or taken out because of it" in " ".join(text.split())
    assert "the app" not in text.partition("If nobody does anything")[0].replace("the job app", "")


# --- what others have written --------------------------------------------------------------------------------------

EVIL = "Ann\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>\u202egnp.exe\x00\ud800{{ 7*7 }}{% raw %}"


def evil_notices() -> list[Notice]:
    one = quarantine(rule=EVIL, arithmetic=EVIL, request=EVIL, answer=EVIL, code=EVIL)
    held = HeldEntry(EVIL, EVIL, EVIL, EVIL, EVIL)
    failed = FailedEntry(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)
    return [
        notices.quarantine_entered(EVIL, AT, one),
        notices.quarantine_left("app", AT, one, how=EVIL),
        notices.held(EVIL, AT, hold_id=EVIL, since=AT, arithmetic=EVIL, operations=[held]),
        notices.failures(
            *("app", AT),
            cycle_id=EVIL,
            rule=EVIL,
            failed=1,
            judged=1,
            cycles_running=1,
            codes={EVIL: 1},
            entries=[failed],
        ),
        notices.not_off(EVIL, AT, people=[StillOn(EVIL, EVIL, EVIL, AT)]),
        notices.absence_not_judged("app", AT, cycles_running=2, last_judged_at=None, problems=[EVIL]),
        notices.credential_expiring("app", AT, target=EVIL, expires=date(2026, 1, 1), days_left=3),
        notices.trial(EVIL, AT),
    ]


@pytest.mark.parametrize("notice", evil_notices(), ids=lambda notice: notice.kind)
def test_no_name_and_no_answer_of_an_app_becomes_a_header_or_a_tag(notice: Notice) -> None:
    mail = parsed(LETTERS.write(notice, ["ann@example.com"]))
    assert mail["Bcc"] is None
    assert list(mail.keys()) == HEADERS
    assert mail["Subject"].count("\n") == 0
    html, text = content(mail, "html"), content(mail, "plain")
    assert "<script" not in html
    assert Markup(html).balanced
    assert "49" not in text
    assert not re.search("[\u202a-\u202e\x00\ud800]", text + html + mail["Subject"])


HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress"),
    *("MIME-Version", "Content-Type"),
]


def parsed(mail: EmailMessage) -> EmailMessage:
    written = mail.as_bytes(policy=SMTP)
    assert all(len(line) <= 998 for line in written.split(b"\r\n"))
    assert written.isascii()
    return message_from_bytes(written, EmailMessage, policy=SMTPUTF8)


def content(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    found: str = part.get_content()
    return found


@given(name=st.text(max_size=600))
def test_whatever_a_name_is_the_mail_is_whole_and_says_it(name: str) -> None:
    notice = notices.held(
        name, AT, hold_id="7", since=AT, arithmetic="1 > 0", operations=[replace(LEAVER, name=name, id=name)]
    )
    mail = parsed(LETTERS.write(notice, ["ann@example.com"]))
    assert list(mail.keys()) == HEADERS
    shown = one_line(name)
    assert (
        mail["Subject"].split()
        == f"{shown}: 1 operation held back, waiting for your word".split()[: len(mail["Subject"].split())]
    )
    assert " ".join(shown.split()) in " ".join(content(mail, "plain").split())
    assert Markup(content(mail, "html")).balanced


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_cleaned_facts_are_lines(facts: Any) -> None:
    def texts(value: Any) -> Iterator[str]:
        match value:
            case str():
                yield value
            case dict():
                for name, inner in value.items():
                    yield from (name, *texts(inner))
            case list():
                for inner in value:
                    yield from texts(inner)
            case _:
                pass

    for text in texts(clean(facts)):
        assert text.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]", text)
        assert len(text) <= 500
        text.encode()


@pytest.mark.parametrize(
    ("seconds", "words", "every"),
    [
        (0, "0 seconds", "0 seconds"),
        (1, "1 second", "second"),
        (59.6, "1 minute", "minute"),
        (2400, "40 minutes", "40 minutes"),
        (3600, "1 hour", "hour"),
        (5400, "1 hour 30 minutes", "hour 30 minutes"),
        (6 * HOUR + 60, "6 hours", "6 hours"),
        (2 * DAY + 3 * HOUR, "2 days 3 hours", "2 days 3 hours"),
        (28 * DAY + HOUR, "28 days", "28 days"),
        (-5, "0 seconds", "0 seconds"),
    ],
)
def test_spans(seconds: float, words: str, every: str) -> None:
    assert (span(seconds), interval(seconds)) == (words, every)


def test_small_words() -> None:
    assert [nth(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th")
    ]
    assert [times(n) for n in (1, 2, 1000)] == ["once", "twice", "1,000 times"]
    assert [counted(n, "entry", "entries") for n in (1, 0, 1234)] == ["1 entry", "0 entries", "1,234 entries"]
    assert moment(AT) == "2025-06-15 15:06 UTC"
