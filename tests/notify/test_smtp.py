"""Mails over real sockets: what is taken, and what is said of a server that does not."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core import notices
from reconciler.core.notices import Notice
from reconciler.errors import ConfigError, Problem
from reconciler.notify.letters import Letters
from reconciler.notify.smtp import MailServer, SmtpNotifier
from reconciler.ports import InDoubt, NotTaken, Taken
from tests.net.sockets import Talk, hang, refusing, serving
from tests.notify.post_office import PASSWORD, USERNAME, open_office

NOTICE = notices.no_cycle("app", 1_750_000_000.0, interval_seconds=2400.0, last_finished_at=None)
LETTERS = Letters("provisioning@example.com", config="/etc/reconciler/config.toml", host="idm1", version="1")
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
Outcome = Taken | NotTaken | InDoubt


class Hand:
    """Hands one notice over; `begun` counts how often the text was about to be sent."""

    def __init__(self, port: int, **server: Any) -> None:
        self.begun = 0
        settings = {"host": "127.0.0.1", "security": "none", "timeout_seconds": 5.0, **server}
        self.notifier = SmtpNotifier(MailServer(port=port, **settings), LETTERS)

    async def over(self, *recipients: str, notice: Notice = NOTICE) -> Outcome:
        return await self.notifier.hand_over(notice, recipients or (ANN,), self._begin)

    async def _begin(self) -> None:
        self.begun += 1


def refusal(outcome: Outcome) -> NotTaken:
    assert isinstance(outcome, NotTaken)
    return outcome


async def test_a_mail_is_taken_with_both_its_forms_and_what_a_program_needs() -> None:
    async with open_office() as office:
        hand = Hand(office.port)
        outcome = await hand.over(ANN, BOB)
    assert outcome == Taken("250 2.0.0 queued as 7F3A", {})
    assert hand.begun == 1
    [mail] = office.mails
    assert office.envelopes == [("provisioning@example.com", (ANN, BOB))]
    assert mail["From"] == "reconciler <provisioning@example.com>"
    assert mail["To"] == f"{ANN}, {BOB}"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Sun, 15 Jun 2025 15:06:40 +0000"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert not [header for header in mail.values() if header.defects]


async def test_the_same_notice_is_the_same_mail_however_often_it_is_sent() -> None:
    async with open_office() as office:
        hand = Hand(office.port)
        await hand.over()
        await hand.over()
        await hand.over(notice=replace(NOTICE, key="another"))
    first, second, other = (mail["Message-ID"] for mail in office.mails)
    assert first == second != other
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", first)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_protected_server_that_wants_a_password(security: Any, certificate: tuple[Path, Path]) -> None:
    async with open_office(security, certificate, authentication=True) as office:
        outcome = await Hand(
            office.port,
            security=security,
            ca_file=certificate[0],
            username=USERNAME,
            read_password=lambda: PASSWORD,
        ).over()
    assert isinstance(outcome, Taken)
    assert (office.secured, office.signed_in) == ([True], [True])


async def test_a_wrong_password_is_told_and_never_shown(certificate: tuple[Path, Path]) -> None:
    async with open_office("starttls", certificate, authentication=True) as office:
        hand = Hand(
            office.port,
            security="starttls",
            ca_file=certificate[0],
            username=USERNAME,
            read_password=lambda: "wr0ng-one",
        )
        outcome = refusal(await hand.over())
    assert "refuses username and password: 535" in outcome.problem
    assert "wr0ng-one" not in outcome.problem
    assert (outcome.of_server, outcome.lasting, hand.begun, office.taken) == (True, False, 0, 0)


async def test_a_sender_that_is_no_address_is_told_with_its_place() -> None:
    async with open_office() as office:
        server = MailServer("127.0.0.1", office.port, "none")
        notifier = SmtpNotifier(server, replace(LETTERS, sender="reconciler@idm_host"))
        outcome = refusal(await notifier.hand_over(NOTICE, (ANN,), Hand(office.port)._begin))
    assert outcome.problem == "[mail] from: reconciler@idm_host: what follows the @ is no domain"
    assert (outcome.of_server, outcome.lasting, office.taken) == (True, False, 0)


async def test_a_password_that_cannot_be_read_is_told_with_its_place() -> None:
    def read() -> str:
        raise ConfigError(Problem("config.toml: [mail] password", "the environment variable P is not set"))

    outcome = refusal(await Hand(1, username=USERNAME, read_password=read).over())
    assert outcome == NotTaken("config.toml: [mail] password: the environment variable P is not set", of_server=True)


async def test_a_certificate_that_nobody_vouches_for(certificate: tuple[Path, Path]) -> None:
    for security in ("starttls", "tls"):
        async with open_office(security, certificate) as office:
            outcome = refusal(await Hand(office.port, security=security).over())
        assert "is not trusted" in outcome.problem
        assert "ca_file" in outcome.problem
        assert outcome.of_server


async def test_the_password_is_never_said_to_a_server_that_offers_no_tls() -> None:
    async with open_office() as office:
        outcome = refusal(
            await Hand(office.port, security="starttls", username="u", read_password=lambda: PASSWORD).over()
        )
    assert "does not offer STARTTLS" in outcome.problem
    assert outcome.of_server


async def test_tls_asked_of_a_server_that_speaks_plainly() -> None:
    async with open_office() as office:
        outcome = refusal(await Hand(office.port, security="tls").over())
    assert "does not speak TLS as expected" in outcome.problem
    assert "starttls" in outcome.problem


async def test_a_server_that_knows_no_way_to_sign_in() -> None:
    async with open_office(auth_exclude_mechanism=["LOGIN", "PLAIN"]) as office:
        outcome = refusal(await Hand(office.port, username="u", read_password=lambda: PASSWORD).over())
    assert "offers no way to sign in" in outcome.problem


async def test_a_port_where_nobody_listens_and_a_name_that_nobody_has() -> None:
    with refusing() as port:
        refused = refusal(await Hand(port).over())
    assert re.fullmatch(r"127\.0\.0\.1:\d+ refuses connections: nothing listens there", refused.problem)
    unknown = refusal(await Hand(25, host="mail.invalid").over())
    assert unknown.problem == "the name mail.invalid was not found (DNS): check host in [mail]"
    faulty = refusal(await Hand(25, host="mail..example.com").over())
    assert "check host in [mail]" in faulty.problem
    assert refused.of_server and unknown.of_server and faulty.of_server


async def test_one_of_three_recipients_is_refused_for_good_and_one_for_now() -> None:
    async with open_office() as office:
        office.recipient_answers = {BOB: "451 4.7.1 greylisted, come back in 5 minutes", EVE: "550 5.1.1 no such user"}
        outcome = await Hand(office.port).over(ANN, BOB, EVE)
    assert isinstance(outcome, Taken)
    assert {one: reason.lasting for one, reason in outcome.refused.items()} == {BOB: False, EVE: True}
    assert "550 5.1.1 no such user" in outcome.refused[EVE].problem
    assert office.envelopes[0][1] == (ANN,)


@pytest.mark.parametrize(("answer", "lasting"), [("451 4.7.1 greylisted", False), ("550 no such user", True)])
async def test_nobody_is_taken(answer: str, lasting: bool) -> None:
    async with open_office() as office:
        office.recipient_answers = {ANN: answer}
        hand = Hand(office.port)
        outcome = refusal(await hand.over())
    assert answer in outcome.problem
    assert (outcome.lasting, outcome.of_server, hand.begun) == (lasting, False, 0)


async def test_a_sender_that_the_server_does_not_let_send() -> None:
    async with open_office() as office:
        office.sender_answer = "553 5.7.1 sender not owned by user"
        outcome = refusal(await Hand(office.port).over())
    assert "refuses the sender provisioning@example.com: 553" in outcome.problem
    assert (outcome.of_server, outcome.lasting) == (True, False)


@pytest.mark.parametrize(
    ("answer", "lasting", "words"),
    [
        ("451 4.3.0 try again later", False, "it refuses the mail: 451"),
        ("554 5.7.1 this looks like spam", True, "it refuses the mail: 554"),
        ("552 5.3.4 message too big", True, "the mail is too large for it: 552"),
    ],
)
async def test_a_text_that_is_refused(answer: str, lasting: bool, words: str) -> None:
    async with open_office() as office:
        office.text_answers = [answer]
        outcome = refusal(await Hand(office.port).over())
    assert words in outcome.problem
    assert (outcome.lasting, outcome.of_server) == (lasting, False)


async def test_a_mail_that_is_larger_than_the_server_takes_is_not_even_begun() -> None:
    async with open_office(data_size_limit=500) as office:
        hand = Hand(office.port)
        outcome = refusal(await hand.over())
    assert re.search(r"the mail has [\d,]+ bytes, 127\.0\.0\.1:\d+ takes 500", outcome.problem)
    assert (outcome.lasting, hand.begun) == (True, 0)


async def test_a_server_that_says_nothing_is_left_after_the_time_that_it_has() -> None:
    async with serving(hang) as port:
        outcome = refusal(await Hand(port, timeout_seconds=0.2).over())
    assert "did not answer within 0.2 s while connecting" in outcome.problem
    assert outcome.of_server


def conversation(*replies: str, then: str) -> Talk:
    """Greet, answer each line in turn; then hang, close, or read the text and do the one or the other."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number:
                await reader.readuntil(b"\r\n")
            writer.write(f"{reply}\r\n".encode())
            await writer.drain()
        if "text" in then:
            await reader.readuntil(b"\r\n.\r\n")
        elif "part" in then:
            await reader.read(100)
        else:
            await reader.readuntil(b"\r\n")
        if "hang" in then:
            await hang(reader, writer)

    return talk


AT_DATA = ("220 hello", "250 mail.example.com", "250 sender", "250 recipient")
AT_TEXT = (*AT_DATA, "354 go on")


@pytest.mark.parametrize("then", ["close after part of the text", "close after the text"])
async def test_a_server_that_hangs_up_without_an_answer_has_taken_nothing(then: str) -> None:
    async with serving(conversation(*AT_TEXT, then=then)) as port:
        hand = Hand(port)
        outcome = refusal(await hand.over())
    assert "closed the connection while sending the text" in outcome.problem
    assert (outcome.of_server, outcome.lasting, hand.begun) == (True, False, 1)


async def test_a_server_that_falls_silent_after_the_text_may_have_taken_it() -> None:
    async with serving(conversation(*AT_TEXT, then="hang after the text")) as port:
        outcome = await Hand(port, timeout_seconds=0.3).over()
    assert isinstance(outcome, InDoubt)
    assert "did not say within 0.3 s whether it took the mail" in outcome.problem


async def test_a_server_that_falls_silent_before_the_text_has_taken_nothing() -> None:
    async with serving(conversation(*AT_DATA, then="hang")) as port:
        hand = Hand(port, timeout_seconds=0.3)
        outcome = refusal(await hand.over())
    assert "while announcing the text" in outcome.problem
    assert hand.begun == 0


async def test_a_server_that_closes_for_the_night() -> None:
    async with serving(conversation("421 4.3.2 closing", then="close")) as port:
        outcome = refusal(await Hand(port).over())
    assert "421 4.3.2 closing" in outcome.problem
    assert outcome.of_server


async def test_a_server_that_talks_nonsense() -> None:
    async with serving(conversation("HTTP/1.1 400 Bad Request", then="close")) as port:
        outcome = refusal(await Hand(port).over())
    assert outcome.of_server
    assert "127.0.0.1" in outcome.problem


async def test_addresses_in_every_script() -> None:
    people = ("jörg@example.com", "ann@bücher.example", BOB)
    async with open_office(enable_SMTPUTF8=True) as office:
        assert await Hand(office.port).over(*people) == Taken("250 2.0.0 queued as 7F3A", {})
    assert office.envelopes[0][1] == ("jörg@example.com", "ann@xn--bcher-kva.example", BOB)
    assert "jörg@example.com" in office.mails[0]["To"]


async def test_a_server_that_takes_ascii_only_gets_the_others() -> None:
    async with open_office() as office:
        outcome = await Hand(office.port).over("jörg@example.com", "ann@bücher.example", BOB)
    assert isinstance(outcome, Taken)
    assert list(outcome.refused) == ["jörg@example.com"]
    assert outcome.refused["jörg@example.com"].lasting
    assert office.envelopes[0][1] == ("ann@xn--bcher-kva.example", BOB)


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com\r\nRCPT TO:<eve@evil.example>",
        "ann@example.com> NOTIFY=NEVER",
        "<ann@example.com",
        "ann\x00@example.com",
        "ann@example..com",
        "example.com",
        "",
    ],
)
async def test_an_address_that_is_none_goes_to_no_server(address: str) -> None:
    async with open_office() as office:
        outcome = await Hand(office.port).over(address, BOB)
    assert isinstance(outcome, Taken)
    assert outcome.refused[address].lasting
    assert office.envelopes == [("provisioning@example.com", (BOB,))]


async def test_lines_that_begin_with_a_dot_arrive_as_they_were() -> None:
    dots = ".\u00a0" * 100  # wrapped by the encoding wherever a line is full
    notice = notices.absence_not_judged("app", 1.0, cycles_running=2, last_judged_at=None, problems=["." * 300, dots])
    async with open_office() as office:
        await Hand(office.port).over(notice=notice)
    assert re.search(rb"(?m)^\.", office.raw[0]), "otherwise this test shows nothing"
    html = office.mails[0].get_body(("html",))
    assert html is not None
    assert html.get_content().replace("\r\n", "\n") == LETTERS.words(notice)[2] + "\n"
