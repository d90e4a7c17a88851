"""AlexisHR into Entra ID: what its page says of setting it up, trying it out and taking it away."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.commands.shell import Shell
from tests.cycles.calendar import DAY
from tests.daemon.process import Daemon
from tests.servers.graph import SECRET, GraphServer
from tests.servers.graph_proof import certificate_and_key
from tests.vendors.app import page
from tests.vendors.hr import KEPT, HumanResources

ANN = "ann.beck@example.com"


@pytest.mark.row("D5")
@pytest.mark.row("D31")
async def test_the_connection_test_names_what_is_granted_and_what_is_missing(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    assert all(line.ok for line in await hr.test())
    graph.tenant.permissions -= {"User-LifeCycleInfo.ReadWrite.All", "User.Read.All"}
    lines = await hr.test()
    missing = [line for line in lines if not line.ok]
    assert [line.text for line in missing] == [
        "the permission User.Read.All is missing",
        "the permission User-LifeCycleInfo.ReadWrite.All is missing, which employeeLeaveDateTime needs",
    ]
    assert "admin consent" in missing[0].hint
    assert any("granted: " in line.text and "User.ReadWrite.All" in line.text for line in lines)


@pytest.mark.row("D31")
async def test_without_the_lifecycle_permission_people_are_made_and_only_the_leave_date_fails(
    hr: HumanResources, graph: GraphServer
) -> None:
    graph.tenant.permissions -= {"User-LifeCycleInfo.ReadWrite.All"}
    hr.employee("e1", "Ann", "Beck", employeeLeaveDateTime="2031-01-31")
    await hr.cycle()
    assert "employeeLeaveDateTime" not in hr.account(ANN)
    (made,) = await hr.log()
    assert (made["action"], made["status"]) == ("create", "warning")
    assert "does not keep: employeeLeaveDateTime" in made["reason"]
    assert "Insufficient privileges" in made["reason"]
    assert "`reconciler cycle entra --full` sends the dates" in page("entra")
    graph.tenant.permissions |= {"User-LifeCycleInfo.ReadWrite.All"}
    hr.clock.turn(DAY)
    await hr.cycle(full=True)
    assert hr.account(ANN)["employeeLeaveDateTime"] == "2031-01-31T00:00:00Z"


@pytest.mark.row("D4")
@pytest.mark.row("D6")
async def test_a_connection_that_fails_says_why_and_a_second_test_tries_again(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    (hr.directory / "secret").write_text("wrong")
    (line,) = await hr.test()
    assert (line.step, line.ok) == ("sign-in", False)
    assert "invalid_client" in line.text
    assert "wrong" not in line.text
    (hr.directory / "secret").write_text("graph-double-secret")
    lines = await hr.test()
    assert all(line.ok for line in lines)
    assert "verified domains: example.com, example.onmicrosoft.com" in [line.text for line in lines]


@pytest.mark.row("D4")
async def test_a_certificate_does_in_place_of_the_secret(hr: HumanResources, graph: GraphServer) -> None:
    (written,) = re.findall(r"`(certificate = \{[^`]*\})`", page("entra"))
    pem, key = certificate_and_key()
    graph.certificate = pem
    kept = hr.directory / "entra.pem"
    kept.touch(mode=0o600)
    kept.write_bytes(pem + key)
    hr.proof = written
    hr.employee("e1", "Ann", "Beck")
    assert all(line.ok for line in await hr.test())
    await hr.cycle()
    assert hr.account(ANN)["accountEnabled"] is True


@pytest.mark.row("D33")
async def test_a_dummy_user_is_onboarded_on_demand_and_each_step_is_shown(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Dummy", "User")
    hr.employee("e2", "Bob", "Carr")
    hr.configure()
    shell = Shell(hr.directory)
    shown = await shell("provision", "entra", "e1")
    assert shown.code == 0
    steps = re.findall(r"^ +(\d) ✓ (\w+)", shown.out, re.MULTILINE)
    assert [number for number, _ in steps] == ["1", "2", "3", "4", "5"], shown.out
    assert re.search(r"✓ create +success", shown.out)
    assert [user["userPrincipalName"] for user in graph.tenant.users.values()] == ["dummy.user@example.com"]
    assert hr.account("dummy.user@example.com")["displayName"] == "Dummy User"
    again = (await shell("provision", "entra", "e1", "--json")).json()
    assert (again["exit_code"], len(again["results"])) == (0, 1)
    assert len(graph.tenant.users) == 1, "once more changes nothing, and Bob was not asked for"


@pytest.mark.row("D38")
async def test_the_plan_says_already_whom_the_domain_keeps_out(hr: HumanResources, graph: GraphServer) -> None:
    hr.employee("e1", "Ann", "Beck")
    hr.employee("e2", "Bob", "Carr", mail="bob@elsewhere.example")
    hr.configure()
    planned = await Shell(hr.directory)("plan", "entra")
    assert planned.code == 1
    assert "would do: 1 create, 1 failure" in planned.out + planned.err
    assert "failed create e2: DomainNotInTenant" in planned.out + planned.err
    assert graph.writes == []


@pytest.mark.row("D34")
async def test_a_change_is_there_a_couple_of_seconds_after_somebody_asks_for_it(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.job = KEPT.replace("[jobs", 'interval = "30s"\n[jobs', 1)
    hr.tables = '[control]\nsocket = "control.sock"\n'
    hr.employee("e1", "Ann", "Beck")
    hr.configure()
    async with Daemon(hr.directory) as daemon:
        await daemon.event("cycle.finished", job="entra")
        hr.employees["e1"]["jobTitle"] = "Lead"
        hr.configure()
        began = asyncio.get_running_loop().time()
        assert (await Shell(hr.directory)("trigger", "entra", "--wait")).code == 0
        assert hr.account(ANN)["jobTitle"] == "Lead"
        assert asyncio.get_running_loop().time() - began < 20.0, "seconds, on a machine that others work on, too"
        assert "next cycle in" in (await Shell(hr.directory)("status", "entra")).out
        assert await daemon.stop() == 0
    assert "In AlexisHR a change takes a couple of seconds. Here it takes until the next cycle" in page("entra")


@pytest.mark.row("D2")
async def test_page_and_first_job_say_which_plan_it_takes(tmp_path: Path) -> None:
    written = (await Shell(tmp_path)("init", "--profile", "entra", "-o", "-")).out
    assert "All-In package" in written
    assert "only available to customers on the **All-In package**" in page("entra")
    assert "Ask your Customer Success Manager" in page("entra")


@pytest.mark.row("D3")
@pytest.mark.row("D4")
@pytest.mark.row("D5")
@pytest.mark.row("D32")
@pytest.mark.parametrize(
    "said",
    [
        "Settings → Integrations → Microsoft Entra ID (Azure AD)** by pressing **Integrate",
        "login as an owner, connect to Entra ID, check that the status is connected",
        "App registrations → New registration",
        "Certificates & secrets → New client secret",
        "API permissions → Add a permission → Microsoft Graph → Application permissions",
        "Grant admin consent",
        "Sign in and read user profile",
        "Read and write all users' lifecycle information | `User-LifeCycleInfo.ReadWrite.All`",
        "Read and write all users' full profiles | `User.ReadWrite.All`",
        "Read all users' full profiles | `User.Read.All`",
        "`reconciler test entra` is the status *Connected*",
        "`reconciler status entra` says how the job stands",
        "Temporary Access Pass",
        "self-service password reset",
    ],
)
def test_the_page_says_what_to_press_in_which_order(said: str) -> None:
    assert said in page("entra")


@pytest.mark.row("D6")
async def test_status_says_that_it_is_out_of_reach_since_when_and_a_second_try_mends_it(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.tables = '[control]\nsocket = "control.sock"\n'
    hr.employee("e1", "Ann", "Beck")
    (hr.directory / "secret").write_text("wrong")
    hr.configure()
    shell = Shell(hr.directory)
    async with Daemon(hr.directory) as daemon:
        await daemon.event("cycle.finished", job="entra")
        shown = (await shell("status", "entra")).out
        assert "quarantine" in shown
        assert "invalid_client" in shown
        assert "last cycle" in shown
        (hr.directory / "secret").write_text(SECRET)
        assert (await shell("trigger", "entra", "--wait")).code == 0
        assert "quarantine" not in (await shell("status", "entra")).out
        assert hr.account(ANN)["accountEnabled"] is True
        assert await daemon.stop() == 0


@pytest.mark.row("D7")
async def test_who_removes_the_integration_as_the_page_says_leaves_the_accounts_alone(
    hr: HumanResources, graph: GraphServer
) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    before = dict(hr.account(ANN))
    graph.clear()
    path = hr.configure()
    path.write_text(path.read_text("utf-8").partition("[jobs.entra]")[0], "utf-8")
    shell = Shell(hr.directory)
    assert (await shell("check")).code == 0
    forgotten = await shell("forget", "entra", "--yes")
    assert forgotten.code == 0, forgotten.err
    assert (graph.calls, hr.account(ANN)) == ([], before)
    hr.configure()
    assert (await shell("links", "entra")).out.count("e1") == 0, "nothing is known of her any more"
    assert (
        "Take the job out of the configuration, then `reconciler forget entra`. This leaves the accounts alone"
        in page("entra")
    )


async def test_the_initial_password_is_in_no_file_and_in_no_log(
    hr: HumanResources, graph: GraphServer, capfd: pytest.CaptureFixture[str]
) -> None:
    hr.employee("e1", "Ann", "Beck")
    await hr.cycle()
    password = graph.tenant.passwords[hr.account(ANN)["id"]]["password"].encode()
    for file in hr.directory.rglob("*"):
        assert not file.is_file() or password not in file.read_bytes(), file
    assert password.decode() not in str(await hr.log())
    assert password.decode() not in "".join(capfd.readouterr())
