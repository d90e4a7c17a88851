"""`reconciler deprovision USER --all-jobs`: shown first, done with --yes, taken back with --release."""

from __future__ import annotations

from tests.commands.shell import Shell
from tests.cycles.company import Company
from tests.servers.scim import ScimServer


async def test_it_is_shown_done_and_taken_back(company: Company, shell: Shell, server: ScimServer) -> None:
    await company.cycle()
    ann = server.user("ann@example.com")
    shown = await shell("deprovision", "ann", "--all-jobs")
    assert (shown.code, ann["active"]) == (0, True)
    assert shown.out == f"app  to disable  ann@example.com (ann), account {ann['id']}\n"
    assert shown.err == "nothing was done; --yes does it\n"
    assert (await shell("deprovision", "ann", "--all-jobs", "--yes", "--json")).json()["people"][0]["outcome"] == (
        "disabled"
    )
    assert server.user("ann@example.com")["active"] is False
    assert (await shell("deprovision", "ann", "--all-jobs", "--release")).code == 0
    await company.cycle()
    assert server.user("ann@example.com")["active"] is True


async def test_who_is_not_known_is_an_error(company: Company, shell: Shell) -> None:
    await company.cycle()
    ran = await shell("deprovision", "nobody", "--all-jobs", "--yes")
    assert (ran.code, "no job knows anybody called nobody" in ran.err) == (2, True)
    assert (await shell("deprovision", "ann")).code == 2, "it is about all jobs, and says so"
