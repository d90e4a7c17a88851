"""`reconciler test-mail`, as a person types it."""

from __future__ import annotations

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.net.sockets import refusing
from tests.notify.conftest import mail_table
from tests.notify.post_office import PostOffice


async def test_it_says_what_the_server_answered(company: Company, office: PostOffice) -> None:
    ran = await Shell(company.directory)("test-mail", "app")
    assert ran.code == 0
    assert ran.out == f"ok  127.0.0.1:{office.port} took the mail for it@example.com: 250 2.0.0 queued as 7F3A\n"
    assert office.mails[0]["Subject"] == "app: a test mail, nothing has happened"


async def test_it_works_while_another_process_writes_to_the_state(company: Company, office: PostOffice) -> None:
    (company.directory / "state.db.lock").touch()
    ran = await Shell(company.directory)("test-mail", "app", "--json")
    assert ran.json() == {
        "server": f"127.0.0.1:{office.port}",
        "sent_to": ["it@example.com"],
        "answer": "250 2.0.0 queued as 7F3A",
        "refused": {},
    }


async def test_without_a_job_it_goes_to_those_of_the_table(company: Company, office: PostOffice) -> None:
    company.tables = mail_table(office.port, 'to = ["boss@example.com", "eve@example.com"]')
    company.configure()
    office.recipient_answers = {"eve@example.com": "550 5.1.1 no such user"}
    ran = await Shell(company.directory)("test-mail")
    assert ran.code == 1
    assert "took the mail for boss@example.com" in ran.out
    assert "BAD 127.0.0.1" in ran.out
    assert "550 5.1.1 no such user" in ran.out
    assert office.mails[0]["Subject"] == "a test mail, nothing has happened"


async def test_a_server_that_is_not_there(company: Company) -> None:
    with refusing() as port:
        company.tables = mail_table(port)
        company.configure()
        ran = await Shell(company.directory)("test-mail", "app")
    assert (ran.code, ran.out) == (4, f"BAD 127.0.0.1:{port} refuses connections: nothing listens there\n")


async def test_nobody_to_tell_no_table_and_no_such_job(company: Company) -> None:
    shell = Shell(company.directory)
    nobody = await shell("test-mail")
    assert (nobody.code, "nobody is named who would get the mail" in nobody.err) == (2, True)
    unknown = await shell("test-mail", "ap")
    assert (unknown.code, "did you mean app?" in unknown.err) == (2, True)
    company.tables = ""
    company.configure()
    without = await shell("test-mail", "app")
    assert (without.code, "there is no [mail]" in without.err) == (2, True)
