"""Commands and the daemon as processes of their own, mails over a real server, and a real SIGKILL in between."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack

from reconciler import config, wiring
from reconciler.core import notices
from reconciler.core.notices import Notice
from reconciler.runtime.clock import SystemClock
from tests.commands.shell import DEADLINE_SECONDS, Shell
from tests.cycles.company import Company
from tests.daemon.process import Daemon
from tests.net.sockets import refusing
from tests.notify.conftest import mail_table
from tests.notify.post_office import PostOffice, open_office


async def queue(company: Company, *told: Notice) -> None:
    async with wiring.open_house(config.load(company.configure()), write=True) as house:
        await house.store.queue(told)


async def waiting(company: Company) -> bool:
    async with wiring.open_house(config.load(company.configure()), write=False) as house:
        return await house.store.next_notice_at() is not None


def about(number: int) -> Notice:
    at = SystemClock().now() - 60 * number
    return notices.no_cycle("app", at, interval_seconds=2400.0, last_finished_at=None)


async def soon(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), DEADLINE_SECONDS)


def subjects(office: PostOffice) -> list[str]:
    return [mail["Subject"] for mail in office.mails]


NO_CYCLE, DOUBTFUL = "app: no cycle has finished yet", "app: a mail may not have reached you"


async def test_a_command_sends_what_is_due_at_its_end(company: Company, office: PostOffice) -> None:
    await queue(company, about(1))
    ran = await Shell(company.directory)("cycle", "app", "--json")
    assert (ran.code, ran.json()["state"]) == (0, "active")
    assert subjects(office) == [NO_CYCLE]
    assert office.envelopes == [("provisioning@example.com", ("it@example.com",))]
    await Shell(company.directory)("cycle", "app")
    assert office.taken == 1


async def test_a_plan_sends_nothing(company: Company, office: PostOffice) -> None:
    await queue(company, about(1))
    assert (await Shell(company.directory)("plan", "app")).code == 0
    assert office.taken == 0
    assert await waiting(company)


async def test_a_kill_while_the_server_takes_the_text_does_not_double_the_mail(
    company: Company, office: PostOffice
) -> None:
    await queue(company, about(1))
    office.holding = asyncio.Event()
    process = await Shell(company.directory).start("cycle", "app")
    await soon(office.text_came)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    office.holding.set()
    assert subjects(office) == [NO_CYCLE], "the server has it, and nobody here knows"

    for _ in range(2):
        assert (await Shell(company.directory)("cycle", "app")).code == 0
    assert subjects(office) == [NO_CYCLE, DOUBTFUL]
    doubt = office.mails[1].get_body(("plain",))
    assert doubt is not None
    assert "It was about: no cycle has finished for long" in doubt.get_content()
    assert not await waiting(company)


async def test_a_kill_before_the_text_loses_no_mail_and_leaves_no_doubt(company: Company, office: PostOffice) -> None:
    await queue(company, about(1))
    office.asking = asyncio.Event()
    process = await Shell(company.directory).start("cycle", "app")
    await soon(office.recipient_came)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    office.asking.set()

    for _ in range(2):
        assert (await Shell(company.directory)("cycle", "app")).code == 0
    assert subjects(office) == [NO_CYCLE]
    assert not await waiting(company)


async def test_a_daemon_that_is_told_to_end_waits_for_the_answer(company: Company, office: PostOffice) -> None:
    await queue(company, about(1))
    office.holding = asyncio.Event()
    async with Daemon(company.directory) as daemon:
        await soon(office.text_came)
        daemon.send(signal.SIGTERM)
        await daemon.event("service.stopping")
        office.holding.set()
        assert await daemon.ended() == 0
        assert [line["kind"] for line in daemon.events() if line["event"] == "mail.sent"] == ["no_cycle"]
    assert not await waiting(company)
    assert office.taken == 1


async def test_cycles_go_on_while_the_mail_server_is_down_and_the_mail_goes_when_it_is_back(company: Company) -> None:
    with ExitStack() as down:
        port = down.enter_context(refusing())
        company.tables = mail_table(port)
        await queue(company, about(1), about(2))
        async with Daemon(company.directory) as daemon:
            waits = await daemon.event("mail.waits")
            assert waits["problem"] == f"127.0.0.1:{port} refuses connections: nothing listens there"
            await daemon.event("cycle.finished", job="app", state="active")
            down.close()
            async with open_office(port=port) as office:
                daemon.send(signal.SIGHUP)
                await daemon.event("mail.sent")
                await daemon.event("mail.sent")
                assert await daemon.stop() == 0
    assert subjects(office) == [NO_CYCLE, NO_CYCLE]


async def test_a_server_that_hangs_holds_no_command_up_for_long(company: Company, office: PostOffice) -> None:
    office.asking = asyncio.Event()
    company.tables = mail_table(office.port, 'timeout = "1s"')
    await queue(company, about(1))
    ran = await Shell(company.directory)("cycle", "app", "--json")
    assert ran.code == 0
    assert "did not answer within 1 s while naming a recipient" in ran.err
    assert await waiting(company)


async def test_without_mail_the_notice_is_in_the_log(company: Company) -> None:
    company.tables = ""
    await queue(company, about(1))
    ran = await Shell(company.directory)("cycle", "app")
    assert ran.code == 0
    assert "notice.not_mailed" in ran.err
    assert "docs/mails/no_cycle.md" in ran.err
    assert not await waiting(company)
